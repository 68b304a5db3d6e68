"""TOML as text: how a settings file is written, for what a settings struct holds."""

import msgspec


def table(values: msgspec.Struct) -> list[str]:
    """Return the lines of what is plain; a struct, or several, have tables of their own."""
    found = {name: getattr(values, name) for name in values.__struct_fields__}
    plain = {name: value for name, value in found.items() if isinstance(value, str | int) or _is_texts(value)}
    return [f"{name} = {_value(value)}" for name, value in plain.items()]


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(text(each) for each in value)}]"
    return text(value) if isinstance(value, str) else str(value)


def text(words: str) -> str:
    """A JSON string is a TOML basic string."""
    return msgspec.json.encode(words).decode()
