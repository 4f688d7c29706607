"""Coverage-guided fuzzing of models/images.py, from the generator's files onwards."""

import re
import subprocess
import sys
from pathlib import Path

from models import images
from tests.amount import amount, soak_only
from tests.chaos.fuzz_images import keeps_its_promise
from tests.conftest import PROJECT
from tests.malformed import damaged, inputs

LARGEST_SEED = 20_000
SECONDS = 600


def test_the_decoder_keeps_its_promise_on_generated_files() -> None:
    for item in damaged(amount(2_000, 40_000)):
        keeps_its_promise(images, item.data)


@soak_only
def test_the_decoder_keeps_its_promise_on_what_a_fuzzer_finds(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds = [item.data for item in inputs(3000) if 0 < len(item.data) <= LARGEST_SEED]
    for number, data in enumerate(seeds):
        (corpus / f"{number:05d}").write_bytes(data)
    command = [sys.executable, "-m", "tests.chaos.fuzz_images", str(corpus)]
    command += [f"-max_total_time={SECONDS}", "-timeout=20", "-rss_limit_mb=3000"]
    command += [f"-max_len={LARGEST_SEED}", f"-artifact_prefix={tmp_path}/", "-seed=1"]
    done = subprocess.run(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    told = re.search(r"Done (\d+) runs in (\d+) second", done.stdout)
    assert done.returncode == 0 and told, done.stdout[-4000:]
    assert int(told[1]) > len(seeds)
    grown = len(list(corpus.iterdir())) - len(seeds)
    assert grown > 0, "nothing new was reached: is anything instrumented?"
    print(f"{told[1]} inputs in {told[2]} s, {grown} of them reached something new")
