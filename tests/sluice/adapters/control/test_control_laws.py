"""What holds for a lease and a cause after any order of calls, lapses and late comers."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sluice.adapters.control.store import open_control
from sluice.control.lease import Lease, LeaseWatch
from sluice.errors import LeaseLost
from sluice.home import Home

RUNS = st.sampled_from(["ann", "ben", "cleo"])
TTL = 10.0


class Rivals(RuleBasedStateMachine):
    """Three runs want one service; each believes in the lease that it last got."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.control = open_control(Home(Path(self.folder.name)))
        self.control.prepare()
        self.now = 0.0
        self.renewed = 0.0
        self.believed: dict[str, Lease] = {}
        self.watches = {name: LeaseWatch() for name in ("ann", "ben", "cleo")}
        self.holder = ""
        self.epoch = 0
        self.answered = ""

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(seconds=st.floats(0.1, TTL * 1.5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=RUNS)
    def try_to_hold(self, name: str) -> None:
        lease = self.control.leases.acquire("employment", "release", name, TTL)
        if lease.holder != name and self.watches[name].has_lapsed(lease, self.now):
            assert self.now - self.renewed >= TTL
            taken = self.control.leases.take(lease, name, TTL)
            assert taken is not None
            lease = taken
        if lease.holder == name:
            if self.holder != name:
                assert lease.epoch == self.epoch + 1
                self.renewed = self.now
            self.holder, self.epoch = name, lease.epoch
            self.believed[name] = lease

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.believed)))
        try:
            self.control.leases.renew(self.believed[name])
        except LeaseLost:
            assert not self.is_holder(name)
        else:
            assert self.is_holder(name)
            self.renewed = self.now

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.believed)))
        mine = self.is_holder(name)
        assert self.control.leases.release(self.believed.pop(name)) is mine
        self.holder = "" if mine else self.holder

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.believed)))
        lease = self.believed[name]
        try:
            claim = self.control.causes.claim(lease, "data.changed", "v2", name)
            assert self.is_holder(name)
            if claim.belongs_to(name) and not claim.is_settled:
                self.control.causes.finish(lease, claim, "done")
                assert self.answered in ("", name)
                self.answered = name
        except LeaseLost:
            assert not self.is_holder(name)

    def is_holder(self, name: str) -> bool:
        return self.holder == name and self.believed[name].epoch == self.epoch

    @invariant()
    def the_store_knows_the_one_holder(self) -> None:
        lease = self.control.leases.find("employment", "release")
        assert (lease.holder, lease.epoch) == (self.holder, self.epoch)


TestRivals = Rivals.TestCase
TestRivals.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, derandomize=True
)
