"""The desk: what stands between an app that asks and a grant: who may give what, about whom, after which answer."""

import datetime
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from salus.api.smart import authorization, scopes
from salus.api.smart.answers import OAuthFailure
from salus.api.smart.authorization import Asked, SentBack
from salus.api.smart.settings import SmartSettings
from salus.api.smart.words import words_of
from salus.clinical import nhs_number
from salus.clinical.nhs_number import NhsNumberInvalid
from salus.clinical.uk_time import uk_time
from salus.node.acting import Patient, Staff
from salus.node.assemble import Node
from salus.node.bearers import BearerKind, Bearers
from salus.node.errors import Refusal, Refused
from salus.node.services import enrol
from salus.node.services.accounts import Account, AccountId, Accounts
from salus.node.services.apps import App, Apps
from salus.node.services.find_patient import count_try
from salus.node.services.grants import Grants, Wanted

LAUNCH_S: Final = 300
NOBODY_FOUND: Final = "nobody here has this number and this date of birth: check both"


class Launch(msgspec.Struct, frozen=True, array_like=True):
    """An EHR launch: for one app, by one account, about one patient."""

    app: str
    account: bytes
    patient: bytes


@dataclass(frozen=True)
class Proposal:
    """What an account's owner is asked.

    Args:
        words: (scope, words) for each that may be given.
        place: where the browser goes then, as people read it.
        needs_choice: whether somebody has to say first which patient it is about.
    """

    app: App
    account: Account
    words: list[tuple[str, str]]
    place: str
    patient: bytes
    needs_choice: bool


class Desk:
    """Puts requests of apps to people, and their answers into grants."""

    def __init__(
        self,
        node: Node,
        settings: SmartSettings,
        *,
        apps: Apps,
        accounts: Accounts,
        grants: Grants,
        bearers: Bearers,
    ) -> None:
        self._node = node
        self._settings = settings
        self._apps = apps
        self._accounts = accounts
        self._grants = grants
        self._bearers = bearers

    def launch(self, account: AccountId, app: App, patient: bytes) -> str:
        """Return the address at which an app begins, launched by a program of ours with a patient in context.

        Raises:
            Refused: APP_UNFIT, the app cannot be launched; ACCOUNT_UNFIT, not about this patient by this account.
        """
        if not app.launch_uri:
            raise Refused(Refusal.APP_UNFIT, "expected an app with a launch URI: register it with one")
        owner = self._require_account(account)
        if isinstance(owner.acts_as, Patient) and owner.pseudonym != patient:
            raise Refused(Refusal.ACCOUNT_UNFIT, "expected the patient's own records")
        launch, until_s = Launch(app.id, account, patient), self._node.clock() + LAUNCH_S
        token = self._bearers.issue(BearerKind.LAUNCH, launch, until_s=until_s, pseudonym=patient)
        joint = "&" if "?" in app.launch_uri else "?"
        return f"{app.launch_uri}{joint}iss={self._settings.base}&launch={token}"

    def require_app(self, asked: Asked) -> App:
        """Return the app that asks. Raises Refused: it was removed meanwhile."""
        app = self._apps.find(asked.app)
        if app is None:
            raise Refused(Refusal.APP_UNFIT, "this app is registered here no more")
        return app

    def find_patient(self, account: AccountId, *, number: str, born: str) -> bytes:
        """Return the patient that staff means; tries are counted together with those in the portal.

        Raises:
            Refused: TOO_MANY; or with the same words whatever did not fit.
            NotNow: the try cannot be counted at this moment.
        """
        if not isinstance(self._require_account(account).acts_as, Staff):
            raise Refused(Refusal.ACCOUNT_UNFIT, "this is for staff")
        count_try(self._node, account)
        try:
            date = datetime.date.fromisoformat(born.strip()).isoformat()
            found = enrol.match(self._node, nhs_number.parse(number.strip()), date)
        except (NhsNumberInvalid, ValueError) as error:
            raise Refused(Refusal.PATIENT_UNKNOWN, NOBODY_FOUND) from error
        if found is None:
            raise Refused(Refusal.PATIENT_UNKNOWN, NOBODY_FOUND)
        return found

    def propose(self, account: AccountId, asked: Asked, chosen: bytes) -> Proposal:
        """Return what the person is asked.

        Args:
            chosen: the patient in context so far, or empty.

        Raises:
            SentBack: there is nothing that this account could give, or the launch is not its.
            Refused: the app or the account is gone.
        """
        app, owner = self.require_app(asked), self._require_account(account)
        possible = self._possible(asked, app, owner)
        patient = owner.pseudonym or chosen or self._launched(account, asked, possible)
        needs = authorization.needs_patient(possible)
        is_patient = isinstance(owner.acts_as, Patient)
        return Proposal(
            app=app,
            account=owner,
            words=words_of(possible, is_patient=is_patient),
            place=urlsplit(asked.redirect_uri).netloc or app.name,
            patient=patient,
            needs_choice=needs and not patient,
        )

    def allow(self, account: AccountId, asked: Asked, patient: bytes, ticked: set[str], *, level: str) -> str:
        """Return the code of a new grant, of what was ticked and no more. Raises SentBack, Refused."""
        app, owner = self.require_app(asked), self._require_account(account)
        granted = tuple(each for each in self._possible(asked, app, owner) if each in ticked)
        if not granted:
            raise self._back(asked, "access_denied", "the person let this app do nothing")
        is_patient = isinstance(owner.acts_as, Patient)
        if authorization.needs_patient(granted) and not (patient or is_patient):
            raise self._back(asked, "access_denied", "nobody said which patient it is about")
        wanted = Wanted(
            app=app,
            account=account,
            scopes=granted,
            patient=owner.pseudonym or patient,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            nonce=asked.nonce,
            level=level,
        )
        return self._grants.begin(wanted)

    def _possible(self, asked: Asked, app: App, owner: Account) -> tuple[str, ...]:
        possible = authorization.possible(asked, app, owner)
        if not scopes.resources(possible) and not set(possible) & {*scopes.IDENTITY, *scopes.NATIVE}:
            raise self._back(asked, "invalid_scope", "nothing of this can be given by whoever signed in")
        return possible

    def _launched(self, account: AccountId, asked: Asked, possible: tuple[str, ...]) -> bytes:
        """Return the patient of an EHR launch, once. Raises SentBack for one that is somebody else's."""
        if scopes.LAUNCH not in possible:
            return b""
        taken = self._bearers.take(BearerKind.LAUNCH, asked.launch, Launch)
        fits = taken is not None and (taken.value.app, taken.value.account) == (asked.app, account)
        if taken is None or not taken.is_first or not fits:
            raise self._back(asked, "invalid_request", "the launch has ended, or is not this person's: launch again")
        return taken.value.patient

    def _back(self, asked: Asked, error: str, words: str) -> SentBack:
        failure = OAuthFailure(error, words)
        return SentBack(authorization.refusal(self._settings, asked.redirect_uri, asked.state, failure))

    def _require_account(self, account: AccountId) -> Account:
        owner = self._accounts.find(account)
        if owner is None:
            raise Refused(Refusal.ACCOUNT_UNFIT, "this account is no more")
        return owner


@dataclass(frozen=True)
class GivenRow:
    """A grant as its page shows it."""

    grant: str
    app: str
    until: str
    words: list[str]


class Manager:
    """What people see and end of what they have given."""

    def __init__(self, *, apps: Apps, accounts: Accounts, grants: Grants) -> None:
        self._apps = apps
        self._accounts = accounts
        self._grants = grants

    def given_by(self, account: AccountId) -> tuple[str, list[GivenRow]]:
        """Return the account's name, and a row for each app that has access. Raises Refused: ACCOUNT_UNFIT."""
        owner = self._accounts.find(account)
        if owner is None:
            raise Refused(Refusal.ACCOUNT_UNFIT, "this account is no more")
        names = {each.id: each.name for each in self._apps.all()}
        is_patient = isinstance(owner.acts_as, Patient)
        rows = [
            GivenRow(
                grant=each.grant.hex(),
                app=names.get(each.app, "an app that is registered no more"),
                until=uk_time(each.until_s),
                words=[words for _, words in words_of(each.scopes, is_patient=is_patient)],
            )
            for each in self._grants.given_by(account)
        ]
        return owner.name, rows

    def end(self, account: AccountId, grant: str) -> None:
        """End one of an account's own grants; another's, or none, is left as it is."""
        for each in self._grants.given_by(account):
            if each.grant.hex() == grant:
                self._grants.end(each.grant)
