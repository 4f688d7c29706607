"""The JavaScript of docs/CLIENTS.md in a browser, in a page of the service itself."""

import re
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "CLIENTS.md"


def test_the_javascript_example_answers_in_a_page_too(page: Any, service_url: str) -> None:
    source = re.findall(r"```js\n(.*?)```", DOCUMENT.read_text(), re.S)[0]
    told = page.evaluate(
        f"""async (url) => {{
            {source}
            const picture = await (await fetch('example.jpg')).blob();
            const answer = await classify(picture, {{ url, top: 1 }});
            const refused = await classify(new Blob(['no picture']), {{ url }}).catch((e) => e);
            return [answer.label, refused.code, refused.requestId.length, refused.message];
        }}""",
        service_url,
    )
    assert told[:3] == ["happiness", "unsupported_image", 16]
    assert told[3].endswith("try again.")
