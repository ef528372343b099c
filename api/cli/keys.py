"""`citebound keys`."""

import json
from pathlib import Path
from urllib.parse import quote

import click

from api.cli import options
from api.cli.client import checked_id, client_of


@click.group(epilog="\b\nExample:\n  citebound keys add --name laptop")
def keys() -> None:
    """API keys. Without one the service answers on this machine only."""


@keys.command("add", epilog="\b\nExample:\n  citebound keys add --name laptop")
@click.option("--name", required=True, help="Whose key it is, for the list.")
@options.as_json
@options.data_dir
def add(name: str, as_json: bool, data_dir: Path | None) -> None:
    """Make a key and show it once; only its hash is kept."""
    with client_of(data_dir) as client:
        made = client.call("POST", "/v1/keys", json={"name": name})
    if as_json:
        click.echo(json.dumps(made))
    else:
        click.echo(made["key"])
        click.echo(f"this is key {made['key_id']} ({name}); it cannot be shown again", err=True)


@keys.command("list", epilog="\b\nExample:\n  citebound keys list --json")
@options.as_json
@options.data_dir
def list_keys(as_json: bool, data_dir: Path | None) -> None:
    """List keys without showing them."""
    with client_of(data_dir) as client:
        found = client.call("GET", "/v1/keys")
    if as_json:
        click.echo(json.dumps(found))
        return
    for key in found["data"]:
        state = f"revoked {key['revoked_at']}" if key["revoked_at"] else "active"
        click.echo(f"{key['key_id']}  {state:<8}  made {key['created_at']}  {key['name']}")


@keys.command("revoke", epilog="\b\nExample:\n  citebound keys revoke KEY_ID")
@click.argument("key_id")
@options.data_dir
def revoke(key_id: str, data_dir: Path | None) -> None:
    """Make a key worthless from this moment on."""
    with client_of(data_dir) as client:
        client.call("DELETE", f"/v1/keys/{quote(checked_id(key_id, 'citebound keys list'), safe='')}")
    click.echo(f"{key_id}: revoked")
