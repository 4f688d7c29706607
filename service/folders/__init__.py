"""Folders larger than memory: `infer.py --ray` over millions of images, into Parquet.

walk.py lists them as a stream; run.py writes the list down in parts, and says what a run is;
parts.py is a part's answers as a Parquet file; looker.py answers one part in a process of Ray's;
cluster.py is Ray; command.py is the whole of it, from options to exit status.
"""
