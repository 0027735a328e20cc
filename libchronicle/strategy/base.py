"""The class a strategy derives from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libchronicle.strategy.states import FeedState, RouterState

if TYPE_CHECKING:
    from libchronicle.strategy.bookview import Book
    from libchronicle.strategy.context import Context
    from libchronicle.strategy.views import Fill, OrderUpdate, Quote, Trade

__all__ = ["Strategy"]


class Strategy:
    """Override what you need; what is not overridden is never called, and its records never leave native code.

    Callbacks run one at a time, in the order of events. `ctx.now_ns()` does not change within one. The views
    they are given (book, trade, quote, update, fill) are good until the callback returns. An exception that
    leaves a callback cancels all orders and ends the process; the supervisor starts it again, but not after the
    fifth within a minute.

    Order of a life: on_load (if something was saved), on_start, on_feed_state and on_router_state as
    connections come, then market data; on_save and on_stop at the end.
    """

    def on_start(self, ctx: Context) -> None:
        """Subscribe, set timers. Positions and open orders are known already, market data is not."""

    def on_book(self, ctx: Context, book: Book) -> None:
        """The book of `book.instrument` has changed."""

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        """The market traded."""

    def on_quote(self, ctx: Context, quote: Quote) -> None:
        """The venue sent a new best bid and ask."""

    def on_order(self, ctx: Context, update: OrderUpdate) -> None:
        """A report on one of the strategy's orders, fills included."""

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        """One of the strategy's orders was filled, wholly or in part; called before on_order."""

    def on_timer(self, ctx: Context, name: str) -> None:
        """The timer `name` is due."""

    def on_feed_state(self, ctx: Context, feed: str, state: FeedState) -> None:
        """A feed was connected (its books are complete), lost its place (SYNCING) or was lost."""

    def on_router_state(self, ctx: Context, state: RouterState) -> None:
        """The router came or went; without it `ctx.send` refuses."""

    def on_stop(self, ctx: Context) -> None:
        """The last call. Orders are cancelled after it unless on_stop = "keep"."""

    def on_save(self, ctx: Context) -> Any:
        """What on_load shall get at the next start: anything JSON can hold. None saves nothing."""
        return None

    def on_load(self, ctx: Context, state: Any) -> None:
        """What on_save returned, before on_start."""
