"""Sign-in ends: what goes when somebody signs out everywhere, gets another password, or has an account no more.

Promises: no browser stays signed in, of the portal or for apps, and no app that was let in goes on (R3); whoever knew
the password has left nothing behind by which they come back: no passkey, and no code, for an organisation or a helper.
"""

from sqlalchemy import Connection, delete, select, update

from salus.node import schema
from salus.node.bearers import BearerKind

_BROWSERS = (BearerKind.PORTAL, BearerKind.BROWSER)


def sign_out_everywhere(connection: Connection, account: bytes) -> None:
    """End every browser in which an account is signed in, and every app that it let in."""
    grants, bearers = schema.grants.c, schema.bearers.c
    theirs = select(grants.grant).where(grants.account == account)
    is_browser = (bearers.grant == account) & bearers.kind.in_(_BROWSERS)
    is_token = bearers.grant.in_(theirs) & (bearers.kind == BearerKind.ACCESS)
    connection.execute(delete(schema.bearers).where(is_browser | is_token))
    connection.execute(update(schema.grants).where(grants.account == account).values(ended=1))


def forget_ways_in(connection: Connection, account: bytes, *, pseudonym: bytes) -> None:
    """Sign an account out everywhere, and forget its passkeys, and the codes that it made.

    Args:
        pseudonym: of the patient whose own account it is; empty for everybody else's.
    """
    sign_out_everywhere(connection, account)
    bearers, own = schema.bearers.c, [each for each in (account, pseudonym) if each]
    is_invitation = (bearers.kind == BearerKind.HELPER) & bearers.pseudonym.in_([pseudonym] if pseudonym else [])
    connection.execute(delete(schema.bearers).where(bearers.grant.in_(own) | is_invitation))
    connection.execute(delete(schema.passkeys).where(schema.passkeys.c.account == account))


def forget_account(connection: Connection, account: bytes, *, pseudonym: bytes) -> None:
    """Forget an account, and whatever rests on it; `pseudonym` as for `forget_ways_in`."""
    forget_ways_in(connection, account, pseudonym=pseudonym)
    theirs = select(schema.grants.c.grant).where(schema.grants.c.account == account)
    connection.execute(delete(schema.bearers).where(schema.bearers.c.grant.in_(theirs)))
    for each in (schema.accounts, schema.sign_ins, schema.helped, schema.grants):
        connection.execute(delete(each).where(each.c.account == account))
