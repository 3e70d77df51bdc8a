"""From alert policies to alerting rows: one policy is one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import TypeVar

from sloproof.errors import SettingsError
from sloproof.slo.documents.annotations import (
    OF_POLICY,
    SHORT_WINDOW,
    annotation_place,
    own_annotations,
    parsed,
    positive_duration,
)
from sloproof.slo.documents.library import Library, check_name
from sloproof.slo.documents.notes import Notes
from sloproof.slo.documents.openslo import (
    AlertCondition,
    AlertConditionSpec,
    AlertNotificationTarget,
    AlertPolicy,
    AlertPolicySpec,
    BurnCondition,
    ConditionEntry,
    Document,
    Metadata,
    PolicyEntry,
    TargetEntry,
    TargetSpec,
)
from sloproof.slo.documents.openslo_duration import openslo_length
from sloproof.slo.documents.problem import Problems
from sloproof.slo.documents.shape import nearest_text
from sloproof.slo.model import AlertRow, Place, Severity

S = TypeVar("S", AlertPolicySpec, AlertConditionSpec, TargetSpec)
_SHORT_PART = 12  # the short window where none is named, as in the usual catalogue: 1h/5m, 6h/30m, 3d/6h


@dataclass(frozen=True, slots=True)
class Burn:
    """What a condition says: how bad it is, above which burn rate, over which window, for how long."""

    severity: Severity
    factor: Fraction
    long: timedelta
    hold: timedelta


@dataclass(slots=True)
class PolicyReader:
    """Reads alert policies; what is wrong with them goes to the problems, what is for people to the notes."""

    library: Library
    problems: Problems

    def rows(self, entries: Sequence[PolicyEntry], notes: Notes) -> tuple[AlertRow, ...]:
        """Return a row for each policy, pages first, then those with the higher factor first."""
        rows: dict[str, AlertRow] = {}
        for entry in entries:
            found = self._resolved(entry, entry.alert_policy_ref, "alertPolicyRef", AlertPolicy, AlertPolicySpec)
            row = self._row(*found, notes) if found is not None else None
            if row is not None and row.name in rows:
                self.problems.add(
                    entry.at(), "duplicate-id", f"expected each policy of an SLO once, got {row.name} again",
                    "remove one of them, or rename it",
                )  # fmt: skip
            elif row is not None:
                rows[row.name] = row
        return tuple(sorted(rows.values(), key=lambda row: (row.severity is not Severity.PAGE, -row.factor)))

    def policy(self, document: AlertPolicy) -> None:
        """Check a policy that no SLO refers to: its problems are told all the same."""
        self._row(document.metadata, document.spec, Notes())

    def _resolved(
        self,
        entry: PolicyEntry | ConditionEntry | TargetEntry,
        reference: str | None,
        name: str,
        kind: type[Document],
        spec_type: type[S],
    ) -> tuple[Metadata, S] | None:
        """Return metadata and spec of what an entry refers to or holds itself."""
        if reference is not None:
            if entry.spec is not None or entry.metadata is not None or entry.kind is not None:
                self.problems.add(
                    entry.at(name), "reference", f"expected {name} or the object itself, got both", "keep one of them"
                )
                return None
            document = self.library.find(kind, reference, entry.at(name), self.problems)
            spec = getattr(document, "spec", None)
            return (document.metadata, spec) if document is not None and isinstance(spec, spec_type) else None
        if entry.spec is None or entry.metadata is None:
            missing = " and ".join(one for one in ("metadata", "spec") if getattr(entry, one) is None)
            self.problems.add(
                entry.at(), "reference", f"expected {name} or the object itself, got one without {missing}",
                f"add {name}, or kind, metadata and spec",
            )  # fmt: skip
            return None
        check_name(entry.metadata, self.problems)
        return (entry.metadata, entry.spec) if isinstance(entry.spec, spec_type) else None

    def _row(self, metadata: Metadata, spec: AlertPolicySpec, notes: Notes) -> AlertRow | None:
        owner = f"AlertPolicy {metadata.name}"
        notes.metadata(owner, metadata)
        notes.add(f"{owner}.spec.description", spec.description)
        if not spec.alert_when_breaching:
            self.problems.add(
                spec.at("alertWhenBreaching"), "policy",
                "expected alertWhenBreaching: true, got a policy that tells nobody of a burning budget",
                "set alertWhenBreaching: true, or remove the policy; missing data is told by alertWhenNoData beside it",
            )  # fmt: skip
        condition = self._condition(spec, notes)
        targets = self._targets(spec, owner, notes)
        if condition is None:
            return None
        condition_metadata, of_condition = condition
        burn = self.burn(of_condition)
        short = self._short((metadata, condition_metadata), burn.long if burn is not None else None)
        if burn is None or short is None or targets is None or not spec.alert_when_breaching:
            return None
        return AlertRow(
            name=metadata.name,
            severity=burn.severity,
            long=burn.long,
            short=short,
            factor=burn.factor,
            hold=burn.hold,
            resolved=bool(spec.alert_when_resolved),
            targets=targets,
            missing=bool(spec.alert_when_no_data),
            place=metadata.at("name"),
        )

    def burn(self, condition: AlertConditionSpec) -> Burn | None:
        """Return what a condition says; None, with problems added, where it can be no row's."""
        severity, burn = self._severity(condition), condition.condition
        if burn.op != "gt":
            self.problems.add(
                burn.at("op"), "condition-op",
                f"expected op: gt, got {burn.op}: a row tells of a burn rate above its threshold",
                "write op: gt" + ("" if burn.op == "gte" else f"; {burn.op} would tell of a healthy service"),
            )  # fmt: skip
        if burn.threshold <= 0:
            self.problems.add(
                burn.at("threshold"), "wrong-value", f"expected a burn rate above 0, got {burn.threshold}",
                "write a factor such as 14.4",
            )  # fmt: skip
        long = self._length(burn, "lookbackWindow", burn.lookback_window)
        hold = self._length(burn, "alertAfter", burn.alert_after or "0m")
        if severity is None or burn.op != "gt" or burn.threshold <= 0 or long is None or hold is None:
            return None
        return Burn(severity, burn.threshold, long, hold)

    def _condition(self, spec: AlertPolicySpec, notes: Notes) -> tuple[Metadata, AlertConditionSpec] | None:
        if len(spec.conditions) != 1:
            self.problems.add(
                spec.at("conditions"), "policy", f"expected exactly one condition, got {len(spec.conditions)}",
                "write one policy for each condition: policies tell independently of each other",
            )  # fmt: skip
            return None
        entry = spec.conditions[0]
        found = self._resolved(entry, entry.condition_ref, "conditionRef", AlertCondition, AlertConditionSpec)
        if found is None:
            return None
        metadata, of_condition = found
        owner = f"AlertCondition {metadata.name}"
        notes.metadata(owner, metadata, named=True)
        notes.add(f"{owner}.spec.description", of_condition.description)
        return metadata, of_condition

    def _targets(self, spec: AlertPolicySpec, owner: str, notes: Notes) -> tuple[str, ...] | None:
        if not spec.notification_targets:
            self.problems.add(
                spec.at("notificationTargets"), "policy", f"expected a notification target in {owner}, got none",
                "add targetRef: who is told",
            )  # fmt: skip
            return None
        names = []
        for entry in spec.notification_targets:
            found = self._resolved(entry, entry.target_ref, "targetRef", AlertNotificationTarget, TargetSpec)
            if found is None:
                continue
            metadata, target = found
            names.append(metadata.name)
            of_target = f"AlertNotificationTarget {metadata.name}"
            notes.metadata(of_target, metadata)
            notes.add(f"{of_target}.spec.target", target.target)
            notes.add(f"{of_target}.spec.description", target.description)
        return tuple(names) if len(names) == len(spec.notification_targets) else None

    def _severity(self, condition: AlertConditionSpec) -> Severity | None:
        try:
            return Severity(condition.severity.lower())
        except ValueError:
            options = [one.value for one in Severity]
            self.problems.add(
                condition.at("severity"), "severity", f"expected severity page or ticket, got {condition.severity}",
                f"{nearest_text(condition.severity, options)}; a page wakes someone, a ticket waits for the morning",
            )  # fmt: skip
            return None

    def _length(self, burn: BurnCondition, name: str, text: str) -> timedelta | None:
        if name == "alertAfter" and text in {"0m", "0h", "0d"}:
            return timedelta(0)
        try:
            return openslo_length(text)
        except SettingsError as error:
            self.problems.add(burn.at(name), "duration", f"{error.headline} as {name}", error.details["hint"])
            return None

    def _short(self, holders: tuple[Metadata, ...], long: timedelta | None) -> timedelta | None:
        """Return the short window: of an annotation of policy or condition, or a twelfth of the long one."""
        found: dict[timedelta, Place] = {}
        for metadata in holders:
            own = own_annotations(metadata, OF_POLICY, self.problems)
            if SHORT_WINDOW in own:
                place = annotation_place(metadata, SHORT_WINDOW)
                short = parsed(place, own[SHORT_WINDOW], positive_duration, self.problems, None)
                if short is None:
                    return None
                found[short] = place
        if long is None:
            return None
        if not found:
            return long / _SHORT_PART
        short = min(found)
        if len(found) > 1 or short > long:
            self.problems.add(
                found[short], "annotation",
                "expected one short window, not above the long one, got "
                + " and ".join(map(str, found)) + f" beside {long}", 'write one duration such as "5m"',
            )  # fmt: skip
            return None
        return short
