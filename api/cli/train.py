"""`citebound train`."""

import click

from api.cli.train_reranker import reranker
from api.cli.train_scratch import corpus, pretrain, tokenizer
from api.cli.train_tuning import dpo, sft
from api.cli.train_verifier import verifier


@click.group(
    epilog="\b\nExample:\n  citebound train sft --squad paragraphs.jsonl.gz --out runs/sft\n"
    "  citebound train verifier --data data --out runs/verifier"
)
def train() -> None:
    """Local training; each command writes its metrics beside its weights."""


for command in (corpus, tokenizer, pretrain, sft, dpo, verifier, reranker):
    train.add_command(command)
