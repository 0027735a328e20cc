"""Connections to venues: WebSocket clients behind one small interface, and HTTP GET.

socket = await connect(url, listener, clock=now_ns, client="websockets")     # or "picows", the fast one
body = await get(url, limits=HttpLimits(timeout_s=5))
"""

from libchronicle.runtime.transports.http import HttpLimits, HttpResponse, get
from libchronicle.runtime.transports.interface import FrameListener, Limits, WebSocket
from libchronicle.runtime.transports.websocket import CLIENTS, connect

__all__ = ["CLIENTS", "FrameListener", "HttpLimits", "HttpResponse", "Limits", "WebSocket", "connect", "get"]
