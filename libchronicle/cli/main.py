"""The `chronicle` command. Every command imports what it needs when it runs, so that `chronicle status` starts at once."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from libchronicle.cli.archive_commands import archive_app
from libchronicle.cli.arguments import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    RecordingOption,
    RunOption,
    SpeedOption,
    SymbolsOption,
    VenueOption,
)
from libchronicle.cli.backtest_commands import backtest_app
from libchronicle.cli.bus_commands import bus_app
from libchronicle.cli.etl_commands import etl_app
from libchronicle.cli.holdings_commands import balances, orders, positions
from libchronicle.cli.model_commands import model_app
from libchronicle.cli.queue_commands import queue_app
from libchronicle.cli.replay_check_command import replay_check
from libchronicle.cli.replay_command import replay
from libchronicle.cli.strategy_commands import strategy_app
from libchronicle.errors import ChronicleError

__all__ = ["app", "fail", "main"]

app = typer.Typer(
    name="chronicle",
    help="Chronicle: start, watch and stop the suite, look into its queues, stop trading.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _tell_version(asked: bool) -> None:
    if not asked:
        return
    import platform
    from importlib.metadata import version

    from libchronicle.protocol.enums import SCHEMA_VERSION

    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"chronicle {version('libchronicle')} (message schema {SCHEMA_VERSION}, {python})")
    raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show what this is and exit.", callback=_tell_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks.", envvar="CHRONICLE_DEBUG")
    ] = False,
) -> None:
    if debug:
        os.environ["CHRONICLE_DEBUG"] = "1"


@app.command()
def up(
    recording: RecordingOption = None,
    speed: SpeedOption = None,
    venue: VenueOption = None,
    symbols: SymbolsOption = "",
    config: Annotated[str, typer.Option(metavar="FILE", help="The host's TOML.")] = DEFAULT_CONFIG,
    run: RunOption = None,
    wait: Annotated[bool, typer.Option(help="Wait until every daemon is healthy.")] = True,
    timeout: Annotated[float, typer.Option(metavar="S", help="How long to wait.")] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Start the suite, or bring a running one to its configuration.

    Resumes the queues of the run directory. On a running suite only what differs is restarted, and a new
    strategy's TOML is started.

    \b
    Examples:
      chronicle up
      chronicle up --recording btcusdt.gz --speed 20
      chronicle up --venue binance --symbols btcusdt,ethusdt
    """
    from libchronicle.cli.options import UpOptions
    from libchronicle.cli.up import run_up

    named = tuple(name.strip().upper() for name in symbols.split(",") if name.strip())
    options = UpOptions(
        config=config, run=run, recordings=tuple(recording or ()), speed=speed, venue=venue, symbols=named
    )
    run_up(options, wait=wait, timeout_s=timeout, as_json=as_json)


@app.command()
def down(
    run: RunOption = None,
    config: ConfigOption = None,
    grace: Annotated[float, typer.Option(metavar="S", help="Kill what still runs after this.")] = 5.0,
) -> None:
    """Stop everything at once, supervisord included. Nothing committed is lost.

    \b
    Example:
      chronicle down
    """
    from libchronicle.cli.down import run_down

    run_down(run, config, grace)


@app.command()
def status(
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 75 unless every daemon is healthy.")
    ] = False,
    window: Annotated[
        float, typer.Option(metavar="S", help="Time over which messages are counted; 0 = do not.")
    ] = 0.5,
) -> None:
    """How every daemon is; also tells when all of them are dead.

    \b
    Examples:
      chronicle status
      chronicle status --check --json
    """
    from libchronicle.cli.status import run_status

    run_status(run, config, as_json=as_json, check=check, window_s=window)


@app.command()
def top(
    run: RunOption = None,
    config: ConfigOption = None,
    interval: Annotated[float, typer.Option(metavar="S", help="Time between two looks.", min=0.05)] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one table and exit.")] = False,
) -> None:
    """The table of `status`, live. q quits.

    \b
    Example:
      chronicle top --interval 0.5
    """
    from libchronicle.cli.status import run_top

    run_top(run, config, interval_s=interval, once=once)


@app.command()
def kill(
    strategy: Annotated[str | None, typer.Argument(metavar="[STRATEGY]", help="Stop this one only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Stop all trading (the default).")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Allow trading again.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="For those who read the log.")] = "",
    run: RunOption = None,
    config: ConfigOption = None,
) -> None:
    """Stop trading at once: no order passes, open ones are cancelled, until `--clear`.

    Works by the kill word on disk, also while the router is dead. With STRATEGY, the router refuses that
    one's orders and cancels those open, and the strategy is paused.

    \b
    Examples:
      chronicle kill --all --reason "venue is broken"
      chronicle kill quoter --reason "wrong parameters"
      chronicle kill quoter --clear
      chronicle kill --clear --reason "venue is back"
    """
    from libchronicle.cli.killing import run_kill

    run_kill(run, config, strategy=strategy, everything=everything, clear=clear, reason=reason)


@app.command()
def market(
    instruments: Annotated[
        list[str] | None, typer.Argument(metavar="[INSTRUMENT]...", help="venue:SYMBOL; all without one.")
    ] = None,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Best bid and ask of every instrument, as the router has them now; also whether there is a market at all.

    \b
    Examples:
      chronicle market
      chronicle market binance-spot:BTCUSDT --json
    """
    from libchronicle.cli.market_view import run_market

    run_market(run, config, instruments or [], as_json=as_json)


@app.command()
def errors(
    daemon: Annotated[str | None, typer.Argument(metavar="[DAEMON]", help="Of this one only.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="How many.")] = 50,
    run: RunOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Errors that the daemons put on record: text, count, first and last time; also of dead ones.

    \b
    Examples:
      chronicle errors
      chronicle errors feed-binance-spot --json
    """
    from libchronicle.cli.error_texts import run_errors

    run_errors(run, config, daemon, limit=limit, as_json=as_json)


@app.command()
def access(
    config: Annotated[str, typer.Option(metavar="FILE", help="The host's TOML.")] = DEFAULT_CONFIG,
    start: Annotated[
        bool, typer.Option("--start", help="Then have systemd run what the configuration names.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there should be.")] = False,
) -> None:
    """Make users, groups, directories and modes so that no daemon can harm another; as root.

    \b
    Examples:
      chronicle access --config /etc/chronicle/host.toml --dry-run
      chronicle access --config /etc/chronicle/host.toml
    """
    from libchronicle.cli.access import run_access

    run_access(config, start=start, dry_run=dry_run)


@app.command()
def bench(
    name: Annotated[str | None, typer.Argument(help="Which; see --list.")] = None,
    names: Annotated[bool, typer.Option("--list", help="Names of all benchmarks.")] = False,
    as_json: JsonOption = False,
    tiny: Annotated[bool, typer.Option("--tiny", help="About a second, to see that it works.")] = False,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Runs the medians are of.")] = 5,
    medium: Annotated[str, typer.Option(metavar="shm|disk", help="Where its queues lie.")] = "shm",
    directory: Annotated[str, typer.Option(metavar="DIR", help="With disk: where.")] = ".",
    data: Annotated[str, typer.Option(metavar="DIR", help="The recordings.")] = "../shared/data",
    seconds: Annotated[
        float, typer.Option(metavar="S", min=0.01, help="peers: how long one measurement of one peer takes.")
    ] = 0.3,
    peer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="peers: only this one and ours; may be repeated.")
    ] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="backtest: other engines too, on the same rows.")
    ] = False,
    python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="peers: another interpreter that has peers' packages; may be repeated."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What --json printed before: exit 67 if it is worse now."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            help="With --baseline: how much worse is not yet worse; 0.2 unless given.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="With --baseline: judge this figure only; may be repeated."),
    ] = None,
) -> None:
    """Measure; prints one JSON object as the last line with --json.

    \b
    Examples:
      chronicle bench --list
      chronicle bench latency --json
      chronicle bench latency --baseline latency.json --tolerance 0.1
      chronicle bench peers --python /opt/peers/bin/python --json
      chronicle bench backtest --peers --python /opt/peers/bin/python --json
    """
    from libchronicle.cli.benching import run_benchmark

    run_benchmark(
        name,
        names=names,
        as_json=as_json,
        tiny=tiny,
        repeats=repeats,
        medium=medium,
        directory=directory,
        data=data,
        seconds=seconds,
        peers=("all",) if peers and name == "backtest" else tuple(peer or ()),
        pythons=tuple(python or ()),
        baseline=baseline,
        tolerance=tolerance,
        keys=tuple(key or ()),
    )


@app.command()
def torture(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A directory on the file system to be judged.")],
    minutes: Annotated[float, typer.Option(metavar="N", min=0.01, help="How long, over all faults.")] = 1.0,
    seed: Annotated[
        int | None, typer.Option(metavar="S", min=0, help="Repeat the plan of this seed.")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="So many rounds of each fault, however long they take."),
    ] = None,
    faults: Annotated[
        str, typer.Option(metavar="A,B", help="Of crash, stop, disk, flip; default: all.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Try to break queues on your file system: kill -9, suspension, a full disk, flipped bits.

    Works in a directory of its own under PATH, touches nothing else, and removes it unless something was found. Exits
    with 0 if every record was there unchanged, with 65 if not.

    \b
    Examples:
      chronicle torture /var/lib/chronicle
      chronicle torture . --minutes 10 --seed 42 --json
    """
    from libchronicle.cli.torturing import run_torturing

    run_torturing(path, minutes=minutes, seed=seed, rounds=rounds, faults=faults, as_json=as_json)


@app.command()
def native(
    cflags: Annotated[bool, typer.Option("--cflags", help="Flags to compile with.")] = False,
    sources: Annotated[bool, typer.Option("--sources", help="C files of the core.")] = False,
    libs: Annotated[bool, typer.Option("--libs", help="What to link with.")] = False,
    header: Annotated[bool, typer.Option("--header", help="Where chronicle.h is.")] = False,
    example: Annotated[bool, typer.Option("--example", help="Where the example in C is.")] = False,
    build: Annotated[
        str | None,
        typer.Option(
            "--build",
            metavar="DIR",
            help="Make libchronicle.a, libchronicle.so, chronicle.h and chronicle.pc there.",
        ),
    ] = None,
) -> None:
    """The queues from C, and from whatever calls C: flags, sources, or a library with a stable interface.

    \b
    Examples:
      cc -o app app.c $(chronicle native --cflags --sources --libs)
      chronicle native --build /usr/local/lib/chronicle
    """
    from libchronicle.cli.native_build import run_native

    run_native(
        cflags_wanted=cflags,
        sources_wanted=sources,
        libs_wanted=libs,
        header=header,
        example=example,
        build=build,
    )


app.command()(positions)
app.command()(balances)
app.command()(orders)
app.command()(replay)
app.command("replay-check")(replay_check)
app.add_typer(queue_app, name="queue")
app.add_typer(archive_app, name="archive")
app.add_typer(etl_app, name="etl")
app.add_typer(backtest_app, name="backtest")
app.add_typer(model_app, name="model")
app.add_typer(bus_app, name="bus")
app.add_typer(strategy_app, name="strategy")


_CLICK_USAGE = 2
_EXTRAS = {  # which extra of the package brings a library that it can do without
    "numpy": "research",
    "pyarrow": "research",
    "polars": "research",
    "duckdb": "research",
    "plotly": "research",
    "onnxruntime": "onnx",
    "obstore": "objectstore",
    "distributed": "cluster",
    "picows": "fast",
}


def main() -> None:
    """Console script: an error is one line on stderr and an exit code that says whose turn it is."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here a reader that has gone is still an exception, at the end it would be a complaint
    except ChronicleError as error:
        fail(error)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRAS:
            raise
        from libchronicle.errors import HostError

        remedy = f"not installed: {sys.executable} -m pip install 'libchronicle[{_EXTRAS[library]}]'"
        fail(HostError(path=library, reason=remedy))
    except SystemExit as ended:  # an argument that is missing or unknown: click's 2 is our 64
        from libchronicle.runtime.daemon import ExitCode

        sys.exit(ExitCode.MISUSE if ended.code == _CLICK_USAGE else ended.code)
    except BrokenPipeError:  # `chronicle queue tail | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        from libchronicle.runtime.daemon import told

        failure = told(error)
        if not isinstance(failure, ChronicleError):
            raise
        fail(failure)
    except KeyboardInterrupt:
        sys.exit(130)


def fail(error: ChronicleError) -> NoReturn:
    """One line on stderr, and the exit code of the error's kind."""
    from libchronicle.runtime.daemon import exit_code

    if os.environ.get("CHRONICLE_DEBUG"):
        traceback.print_exception(error)
    print(f"chronicle: {error}", file=sys.stderr)
    sys.exit(exit_code(error))
