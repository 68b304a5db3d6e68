"""Signing in and out, by whoever it is, and the devices that are signed in."""

from typing import Final

from salus.portal.call import Page
from salus.portal.pages.entrance import (
    devices,
    first,
    language,
    launch,
    leave,
    passkey,
    shared_link,
    sign_in,
    sign_out,
    with_provider,
)

PAGES: Final[tuple[Page, ...]] = (
    first.PAGE,
    sign_in.PAGE,
    *passkey.PAGES,
    *with_provider.PAGES,
    *launch.PAGES,
    *sign_out.PAGES,
    *devices.PAGES,
    language.PAGE,
    *leave.PAGES,
    shared_link.PAGE,
)
