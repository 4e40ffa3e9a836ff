"""Who gets into the OMERO stand-in, over what, and what an open session may still do."""

import socket
import sqlite3
import time
from typing import Any

import Glacier2
import Ice
import omero
import omero.gateway
import pytest
from omero.rtypes import rstring, unwrap
from omero_clients import (
    GUEST_GROUP,
    ROOT_PASSWORD,
    USER_GROUP,
    Site,
    add_group,
    add_person,
    group,
    groups,
    people,
    person,
    session_object,
    site,
)
from throwaway_pki import create_authority


def test_the_administrator_logs_in_and_is_told_who_it_is(server):
    with server.client() as client:
        context = client.sf.getAdminService().getEventContext()
        assert (context.userName, context.groupName, context.isAdmin) == ("root", "system", True)
        assert context.sessionUuid == client.getSessionId()
        assert "ModifyUser" in context.adminPrivileges


@pytest.mark.parametrize(("name", "password"), [("root", "wrong"), ("nobody", "wrong"), ("root", " ")])
def test_a_wrong_password_or_name_is_refused(server, name, password):
    with (
        pytest.raises(Glacier2.PermissionDeniedException, match="Password check failed"),
        server.client(name, password),
    ):
        pass


def test_the_certificate_is_verified(server):
    with server.client(**server.verified(), **{"IceSSL.CheckCertName": "1"}) as client:
        assert client.sf.getAdminService().getEventContext().userName == "root"


def test_a_certificate_of_another_authority_is_refused(server, tmp_path):
    other = create_authority(tmp_path, "another authority")
    with pytest.raises(Ice.SecurityException), server.client(**server.verified(other.ca_file)):
        pass


def test_nothing_is_served_without_tls(server):
    # A server of Ice greets its clients; with TLS it waits for theirs.
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection,
        pytest.raises(TimeoutError),
    ):
        connection.recv(1)


def test_the_gateway_of_the_library_connects(server):
    gateway = omero.gateway.BlitzGateway("root", ROOT_PASSWORD, host="localhost", port=server.port)
    try:
        assert gateway.connect()
        assert gateway.isAdmin()
        assert gateway.getGroupFromContext().getName() == "system"
    finally:
        gateway.close()


def test_a_session_is_entered_with_its_key_and_not_with_a_key_and_a_name(server, root):
    uuid = root.getSessionId()
    with server.joined(uuid) as second:
        assert second.sf.getAdminService().getEventContext().sessionUuid == uuid
    with (
        pytest.raises(Glacier2.PermissionDeniedException, match="must be equal"),
        server.client("root", uuid),
    ):
        pass
    unknown = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(Glacier2.PermissionDeniedException), server.joined(unknown):
        pass


def test_passwords_are_changed_only_in_a_session_that_was_begun_with_one(server, root):
    with server.joined(root.getSessionId()) as second:
        admin = second.sf.getAdminService()
        with pytest.raises(omero.SecurityViolation, match="Bad authentication credentials"):
            admin.changePassword(rstring(ROOT_PASSWORD))
        with pytest.raises(omero.SecurityViolation, match="Bad password"):
            second.sf.setSecurityPassword("wrong")
        second.sf.setSecurityPassword(ROOT_PASSWORD)
        admin.changePassword(rstring(ROOT_PASSWORD))


def test_a_new_password_counts_and_the_old_one_no_longer(server, root):
    add_person(root, "changed", add_group(root, "changed"), password="first")
    root.sf.getAdminService().changeUserPassword("changed", rstring("second"))
    with pytest.raises(Glacier2.PermissionDeniedException), server.client("changed", "first"):
        pass
    with server.client("changed", "second") as client:
        client.sf.getAdminService().changePassword(rstring("third"))
    with server.client("changed", "third"):
        pass


def test_a_blank_password_locks_an_account(server, root):
    key = add_group(root, "blank")
    root.sf.getAdminService().createExperimenter(person("blank"), *groups(key), groups(USER_GROUP))
    add_person(root, "empty", key, password=" ")
    for name in ("blank", "empty"):
        with pytest.raises(Glacier2.PermissionDeniedException), server.client(name, "anything"):
            pass


def test_where_no_password_is_required_a_blank_one_lets_everybody_in(tmp_path):
    with site(tmp_path, {"omero.security.password_required": "false"}) as open_server:
        with open_server.client() as root:
            key = add_group(root, "open")
            root.sf.getAdminService().createExperimenter(person("open"), *groups(key), groups(USER_GROUP))
            add_person(root, "closed", key, password="secret")
        with open_server.client("open", "anything"):
            pass
        with pytest.raises(Glacier2.PermissionDeniedException), open_server.client("closed", "anything"):
            pass


def test_who_is_not_a_user_gets_a_session_that_is_good_for_nothing(server, root):
    add_person(root, "inactive", add_group(root, "waiting room"), active=False)
    with server.client("inactive", "secret") as client:
        admin = client.sf.getAdminService()
        assert admin.getEventContext().userName == "inactive"
        for refused in (admin.lookupExperimenters, admin.lookupGroups):
            with pytest.raises(omero.SecurityViolation, match="No matching roles found"):
                refused()
        with pytest.raises(omero.SecurityViolation, match="No matching roles found"):
            client.sf.getQueryService().projection("select e.id from Experimenter e", None)


def test_who_has_no_group_to_begin_in_gets_no_session(server, root, tmp_path_factory):
    with (
        pytest.raises(omero.WrappedCreateSessionException) as refused,
        server.client(**{"omero.group": "none"}),
    ):
        pass
    assert "No such group" in refused.value.reason


def test_a_group_is_entered_by_its_members_only(server, root):
    mine, other = add_group(root, "mine"), add_group(root, "not mine")
    add_person(root, "member", mine)
    with server.client("member", "secret") as client:
        admin = client.sf.getAdminService()
        with pytest.raises(omero.SecurityViolation, match="is not a member of group"):
            client.sf.setSecurityContext(*groups(other))
        with pytest.raises(omero.SecurityViolation, match="cannot login"):
            admin.lookupGroups({"omero.group": str(other)})
        assert admin.getEventContext().groupId == mine
        assert {unwrap(each.id) for each in client.sf.getSecurityContexts()} == {mine, USER_GROUP}


def test_the_guest_is_let_in_and_has_no_queries(server):
    with server.client("guest", "guest") as client:
        assert client.sf.getAdminService().getEventContext().groupId == GUEST_GROUP
        with pytest.raises(omero.SecurityViolation, match="guest user"):
            client.sf.getQueryService()


def test_objects_of_another_session_are_not_reached(server, root):
    add_person(root, "thief", add_group(root, "thieves"))
    proxy = root.sf.getAdminService()
    with server.client("thief", "secret") as client:
        stolen = client.ic.stringToProxy(f'"{root.ic.identityToString(proxy.ice_getIdentity())}"')
        stolen = omero.api.IAdminPrx.uncheckedCast(stolen.ice_router(client.ic.getDefaultRouter()))
        with pytest.raises(Ice.ObjectNotExistException):
            stolen.createGroup(group("stolen"))


class TestSessions:
    """What an administrator sees and ends."""

    def test_the_open_sessions_are_listed_and_others_are_told_little(self, server, root):
        add_person(root, "seen", add_group(root, "seen"))
        with server.client("seen", "secret") as client:
            listed = root.submit(omero.cmd.CurrentSessionsRequest()).getResponse()
            mine = {context.userName: place for place, context in enumerate(listed.contexts)}
            place = mine["seen"]
            assert unwrap(listed.sessions[place].uuid) == client.getSessionId()
            assert unwrap(listed.sessions[place].userAgent) == "OMERO.py"
            assert unwrap(listed.data[place]["hitCount"]) > 0

            shown = client.submit(omero.cmd.CurrentSessionsRequest()).getResponse()
            theirs = next(place for place, each in enumerate(shown.contexts) if each.userName == "root")
            assert shown.sessions[theirs] is None
            assert shown.contexts[theirs].sessionUuid == ""
            assert shown.data[theirs] == {}

    def test_an_ended_session_is_gone_for_its_client(self, server, root):
        add_person(root, "ended", add_group(root, "ended"))
        with server.client("ended", "secret") as client:
            admin, uuid = client.sf.getAdminService(), client.getSessionId()
            service = root.sf.getSessionService()
            assert service.closeSession(session_object(uuid)) == -2
            for call in (admin.lookupExperimenters, client.sf.getAdminService):
                with pytest.raises(Ice.ObjectNotExistException):
                    call()
            assert service.closeSession(session_object(uuid)) == -1
            with pytest.raises(omero.RemovedSessionException):
                service.getSession(uuid)
            with pytest.raises(Glacier2.PermissionDeniedException), server.joined(uuid):
                pass

    def test_a_session_of_two_clients_ends_with_its_last_reference(self, server, root):
        add_person(root, "twice", add_group(root, "twice"))
        service = root.sf.getSessionService()
        with server.client("twice", "secret") as client:
            uuid = client.getSessionId()
            with server.joined(uuid):
                assert service.getReferenceCount(uuid) == 2
                assert service.closeSession(session_object(uuid)) == 1
            assert service.closeSession(session_object(uuid)) == -2
            with pytest.raises(Ice.ObjectNotExistException):
                client.sf.getAdminService()

    def test_a_detached_session_stays_and_one_that_is_not_goes_with_its_client(self, server, root):
        add_person(root, "leaving", add_group(root, "leaving"))
        service = root.sf.getSessionService()
        with server.client("leaving", "secret") as client:
            kept = client.getSessionId()
            client.sf.detachOnDestroy()
        with server.client("leaving", "secret") as client:
            gone = client.getSessionId()
        assert unwrap(service.getSession(kept).owner.id) > 0
        with pytest.raises(omero.RemovedSessionException):
            service.getSession(gone)

    def test_a_client_that_vanishes_leaves_nothing_open(self, server, root):
        add_person(root, "vanished", add_group(root, "vanished"))
        client = omero.client(host="localhost", port=server.port)
        uuid = client.createSession("vanished", "secret").ice_getIdentity().name
        client.ic.destroy()
        until = time.monotonic() + 10
        while _is_open(root, uuid) and time.monotonic() < until:
            time.sleep(0.02)
        assert not _is_open(root, uuid)

    def test_an_administrator_opens_a_session_of_somebody_and_nobody_else_does(self, server, root):
        add_person(root, "opened", add_group(root, "opened"))
        principal = omero.sys.Principal("opened", "", "User", None)
        made = root.sf.getSessionService().createSessionWithTimeouts(principal, 0, 60_000)
        with server.joined(unwrap(made.uuid)) as client:
            assert client.sf.getAdminService().getEventContext().userName == "opened"
            with pytest.raises(omero.SecurityViolation):
                client.sf.getSessionService().createSessionWithTimeouts(principal, 0, 60_000)

    def test_sessions_have_their_groups_until_they_are_synchronised(self, server, root):
        first, second = add_group(root, "first"), add_group(root, "second")
        key = add_person(root, "removed", first, second)
        with server.client("removed", "secret") as client:
            root.sf.getAdminService().removeGroups(*people(key), groups(second))
            client.sf.getAdminService().lookupGroups({"omero.group": str(second)})
            assert second not in client.sf.getAdminService().getEventContext().memberOfGroups
            with pytest.raises(omero.SecurityViolation):
                client.sf.getAdminService().lookupGroups({"omero.group": str(second)})

    def test_other_requests_are_answered_with_an_error(self, root):
        with pytest.raises(omero.CmdError) as refused:
            root.submit(omero.cmd.Delete2(targetObjects={"Image": [1]}))
        assert "does not know" in refused.value.err.parameters["message"]
        handle = root.sf.submit(omero.cmd.CurrentSessionsRequest())
        assert handle.getResponse() is None
        until = time.monotonic() + 10
        while handle.getResponse() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert handle.getStatus().flags == [omero.cmd.State.SUCCESS]
        handle.close()
        with pytest.raises(Ice.ObjectNotExistException):
            handle.getResponse()


def _is_open(root: Any, uuid: str) -> bool:
    try:
        root.sf.getSessionService().getReferenceCount(uuid)
    except omero.RemovedSessionException:
        return False
    return True


def test_idle_sessions_time_out(tmp_path):
    with site(tmp_path, {"omero.sessions.timeout": "300"}) as quick, quick.client() as client:
        admin = client.sf.getAdminService()
        admin.getEventContext()
        time.sleep(0.4)
        with pytest.raises(omero.SessionTimeoutException, match="exceeded timeToIdle"):
            admin.getEventContext()


def test_what_was_made_is_there_after_a_restart_and_sessions_are_not(tmp_path):
    with site(tmp_path) as before, before.client() as root:
        add_person(root, "lasting", add_group(root, "lasting"))
        root.sf.getAdminService().changePassword(rstring("another"))
    with site(tmp_path) as after:
        with after.client("root", "another") as root:
            assert unwrap(root.sf.getAdminService().lookupExperimenter("lasting").omeName) == "lasting"
        with pytest.raises(Glacier2.PermissionDeniedException), after.client():
            pass
    with sqlite3.connect(tmp_path / "data/omero.sqlite") as catalogue:
        assert catalogue.execute("select count(*) from session where closed is null").fetchone() == (0,)


def test_failed_logins_wait_as_configured(tmp_path):
    config = {
        "omero.security.login_failure_throttle_count": "1",
        "omero.security.login_failure_throttle_time": "300",
    }
    with site(tmp_path, config) as slow:
        taken = [_seconds_of_a_refusal(slow) for _ in range(2)]
    assert taken[0] < 0.3 <= taken[1]


def _seconds_of_a_refusal(server: Site) -> float:
    began = time.monotonic()
    with pytest.raises(Glacier2.PermissionDeniedException), server.client("root", "wrong"):
        pass
    return time.monotonic() - began
