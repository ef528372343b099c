"""The command `citebound`: a table of subcommands, each loaded only when it is used."""

import importlib
import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

import click

from api.thread_names import LOADING_THREAD

# name → (module, attribute, one line for --help); kept here so that --help imports none of them.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "serve": ("api.cli.serve", "serve", "Start the HTTP service and the web page."),
    "ingest": ("api.cli.documents", "ingest", "Add files or folders."),
    "list": ("api.cli.documents", "list_documents", "List documents and their state."),
    "delete": ("api.cli.documents", "delete", "Delete documents with everything made of them."),
    "search": ("api.cli.questions", "search", "Find passages."),
    "ask": ("api.cli.questions", "ask", "Ask a question and get a cited answer."),
    "verify": ("api.cli.verify", "verify", "Check a text against evidence."),
    "compare": ("api.cli.compare", "compare", "Compare systems on the same questions and write one report."),
    "report": ("api.cli.report", "report", "Write the report of a stored run again."),
    "models": ("api.cli.models", "models", "Get, list and convert models."),
    "train": ("api.cli.train", "train", "Train tokenizers, decoders, the verifier and the reranker on this machine."),
    "keys": ("api.cli.keys", "keys", "Make, list and revoke API keys."),
    "reindex": ("api.cli.upkeep", "reindex", "Rebuild every index from the catalog."),
    "doctor": ("api.cli.upkeep", "doctor", "Tell what this machine can do; --check proves the store consistent."),
    "backup": ("api.cli.upkeep", "backup", "Write catalog and files as one archive."),
    "restore": ("api.cli.upkeep", "restore", "Read such an archive into an empty data folder."),
    "demo": ("api.cli.demo", "demo", "Serve a scratch folder with documents in it and ask a question."),
}

EXAMPLE = """\b
Example:
  citebound ingest handbook.pdf notes/
  citebound ask "How many days of leave do I have?"
"""


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when the subcommand is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.command(cls=LazyGroup, epilog=EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citebound")
def cli() -> None:
    """Answers from your own documents, every sentence with a checked citation."""


def shadowed_package() -> str | None:
    """The package of ours that Python found elsewhere (PyPI has an `llm` and a `rag`); None when all is well."""
    home = Path(__file__).resolve().parents[2]
    for name in ("api", "ingest", "rag", "llm"):
        found = getattr(importlib.import_module(name), "__file__", None)
        if found is None or Path(found).resolve().parents[1] != home:
            return name
    return None


def leave(code: int) -> NoReturn:
    """End the process.

    While a thread loads a model, Python's own way out aborts in native code (SIGABRT): everything is closed by now, so
    nothing is lost by leaving at once.
    """
    if any(thread.name == LOADING_THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main() -> None:
    """Run the command line; every error is one line on stderr that says what to do."""
    # OpenMP threads that spin while they wait take the cores from parsers and from each other: decoding on two shared
    # cores fell from 25 to 1 token a second. Read once by the library when it loads, so it is set before anything.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    shadowed = shadowed_package()
    if shadowed:
        click.echo(
            f"citebound: the package {shadowed!r} comes from another distribution; run pip uninstall {shadowed}",
            err=True,
        )
        sys.exit(1)
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        leave(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        leave(2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "citebound"
        message = " ".join(error.format_message().split())
        hint = f" (see {command} --help)" if isinstance(error, click.UsageError) else ""
        click.echo(f"citebound: {message}{hint}", err=True)
        leave(error.exit_code)
    except BrokenPipeError:
        leave(1)
    except KeyboardInterrupt:
        leave(130)
    except Exception as error:
        sentence = _known(error)
        if sentence is None:
            raise
        click.echo(f"citebound: {sentence}", err=True)
        leave(1)
    leave(code if isinstance(code, int) else 0)


def _known(error: Exception) -> str | None:
    """The message of an error that was foreseen; None for a bug, whose traceback is worth seeing."""
    from llm.errors import LlmError
    from rag.errors import CiteboundError

    if isinstance(error, CiteboundError | LlmError):
        return str(error)
    if type(error).__module__.startswith("httpx"):
        return f"the service does not answer ({type(error).__name__}); is it still running?"
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.strerror and error.filename else str(error)
    return None
