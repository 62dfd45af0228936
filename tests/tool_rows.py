"""Rows with tools that several tests share, in OpenAI's form."""

from dataselect.data.tool_use import ToolConversation

ULM = {"city": "Ulm"}


def tool(name):
    """A function that the assistant may call."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    function = {"name": name, "description": "Looks it up.", "parameters": parameters}
    return {"type": "function", "function": function}


def call(name, **arguments):
    """A call of a function."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*given, content=""):
    """An assistant's turn with calls."""
    return {"role": "assistant", "content": content, "tool_calls": list(given)}


def turn(role, content):
    """A turn without calls."""
    return {"role": role, "content": content}


TOOLS = [tool("weather"), tool("time")]
TURNS = [
    turn("user", "How warm is it in Ulm?"),
    calls(call("weather", **ULM)),
    turn("tool", '{"celsius": 3}'),
    turn("assistant", "It is 3 degrees."),
]
#: A question with one call.
WEATHER = ToolConversation(TURNS, TOOLS)
#: Two calls at once, and their results.
BOTH = ToolConversation(
    [
        turn("system", "Be brief."),
        *TURNS,
        turn("user", "And now?"),
        calls(call("weather", **ULM), call("time"), content="I look."),
        turn("tool", "cold"),
        turn("tool", "noon"),
        turn("assistant", "Cold; noon."),
    ],
    TOOLS,
)
