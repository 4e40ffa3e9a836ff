"""People, groups and memberships at the OMERO stand-in: what is made, changed and refused, and to whom."""

import omero
import pytest
from omero.rtypes import rbool, rlong, rstring, unwrap
from omero_clients import USER_GROUP, add_group, add_person, group, groups, people, person

SYSTEM_GROUP, ROOT_USER = 0, 0


@pytest.fixture(scope="module")
def admin(root):
    return root.sf.getAdminService()


def members(admin, key):
    return {
        unwrap(each.child.id): unwrap(each.owner) for each in admin.getGroup(key).copyGroupExperimenterMap()
    }


def memberships(admin, key):
    return [unwrap(each.parent.id) for each in admin.getExperimenter(key).copyGroupExperimenterMap()]


class TestFirstContents:
    """What is there before anything is made."""

    def test_the_special_groups_and_people_are_there(self, admin):
        roles = admin.getSecurityRoles()
        assert (roles.rootId, roles.systemGroupId, roles.userGroupId, roles.guestGroupId) == (0, 0, 1, 2)
        assert members(admin, roles.systemGroupId) == {ROOT_USER: False}
        assert unwrap(admin.lookupExperimenter("guest").omeName) == "guest"
        assert str(admin.lookupGroup("user").details.permissions) == "rwr-r-"

    def test_the_administrator_has_all_privileges(self, admin):
        names = {unwrap(each.value) for each in admin.getCurrentAdminPrivileges()}
        assert {"ModifyUser", "ModifyGroup", "ModifyGroupMembership", "Sudo"} <= names
        assert admin.getAdminPrivileges(*people(1)) == []


class TestGroups:
    """Groups."""

    def test_a_group_is_made_with_what_is_said(self, admin):
        key = admin.createGroup(group("said", "rwr---", "what it is for"))
        made = admin.getGroup(key)
        assert (unwrap(made.name), unwrap(made.description)) == ("said", "what it is for")
        assert str(made.details.permissions) == "rwr---"
        assert members(admin, key) == {}

    def test_a_group_without_permissions_is_private(self, admin):
        key = admin.createGroup(group("private", None))
        assert str(admin.getGroup(key).details.permissions) == "rw----"

    def test_a_name_is_given_once(self, admin):
        add = group("once")
        admin.createGroup(add)
        with pytest.raises(omero.ValidationException) as refused:
            admin.createGroup(add)
        assert "ConstraintViolationException: could not insert" in refused.value.message

    def test_a_group_without_a_name_is_refused(self, admin):
        with pytest.raises(omero.ValidationException):
            admin.createGroup(group(None))

    def test_name_description_and_permissions_are_changed(self, admin):
        key = admin.createGroup(group("before", "rw----"))
        changed = admin.getGroup(key)
        changed.name, changed.description = rstring("after"), rstring("new")
        changed.details.permissions = omero.model.PermissionsI("rwra--")
        admin.updateGroup(changed)
        found = admin.lookupGroup("after")
        assert (unwrap(found.id), unwrap(found.description)) == (key, "new")
        assert str(found.details.permissions) == "rwra--"

    def test_a_group_that_its_owners_could_not_read_is_refused(self, admin):
        key = admin.createGroup(group("unreadable"))
        changed = admin.getGroup(key)
        changed.details.permissions = omero.model.PermissionsI("------")
        with pytest.raises(omero.GroupSecurityViolation):
            admin.updateGroup(changed)

    @pytest.mark.parametrize("name", ["user", "system", "guest"])
    def test_the_special_groups_keep_their_names_for_themselves(self, admin, name):
        special = admin.lookupGroup(name)
        special.name = rstring("another")
        with pytest.raises(omero.ValidationException, match="special group"):
            admin.updateGroup(special)
        plain = admin.getGroup(admin.createGroup(group(f"not {name}")))
        plain.name = rstring(name)
        with pytest.raises(omero.ValidationException, match="special group"):
            admin.updateGroup(plain)

    @pytest.mark.parametrize("missing", [lambda a: a.getGroup(12345), lambda a: a.lookupGroup("nowhere")])
    def test_a_group_that_is_not_there_is_said_so(self, admin, missing):
        with pytest.raises(omero.ApiUsageException, match="No such group"):
            missing(admin)


class TestPeople:
    """Experimenters."""

    def test_somebody_is_made_in_groups(self, root, admin):
        key = add_group(root, "team of ada")
        made = person("ada", ldap=True)
        made.email = rstring("ada@example.org")
        uid = admin.createExperimenterWithPassword(made, rstring("pw"), *groups(key), groups(USER_GROUP))
        found = admin.getExperimenter(uid)
        assert (unwrap(found.omeName), unwrap(found.email), unwrap(found.ldap)) == (
            "ada",
            "ada@example.org",
            True,
        )
        assert memberships(admin, uid) == [key, USER_GROUP]
        assert unwrap(admin.getDefaultGroup(uid).id) == key
        assert unwrap(admin.containedExperimenters(key)[0].omeName) == "ada"

    @pytest.mark.parametrize(
        "incomplete", [person(None), person("nobody", ldap=None), person("nobody", last=None)]
    )
    def test_somebody_of_whom_too_little_is_said_is_refused(self, admin, incomplete):
        with pytest.raises(omero.ValidationException):
            admin.createExperimenterWithPassword(incomplete, rstring("pw"), *groups(USER_GROUP), [])
        with pytest.raises(omero.ApiUsageException):
            admin.lookupExperimenter("nobody")

    def test_nothing_is_left_of_somebody_whose_group_is_not_there(self, admin):
        with pytest.raises(omero.ValidationException):
            admin.createExperimenterWithPassword(
                person("half"), rstring("pw"), *groups(USER_GROUP), groups(9999)
            )
        with pytest.raises(omero.ApiUsageException):
            admin.lookupExperimenter("half")

    def test_somebody_in_a_group_without_an_id_is_refused(self, admin):
        with pytest.raises(omero.ApiUsageException, match="persistent"):
            admin.createExperimenterWithPassword(person("lost"), rstring("pw"), group("unsaved"), [])

    def test_a_name_is_given_once(self, root, admin):
        key = add_group(root, "team of twins")
        add_person(root, "twin", key)
        with pytest.raises(omero.ValidationException, match="ConstraintViolationException"):
            add_person(root, "twin", key)

    def test_names_and_addresses_are_changed_and_ldap_is_not(self, root, admin):
        uid = add_person(root, "renamed", add_group(root, "team of renamed"))
        changed = admin.getExperimenter(uid)
        changed.firstName, changed.email, changed.ldap = rstring("New"), rstring("n@example.org"), rbool(True)
        admin.updateExperimenter(changed)
        found = admin.getExperimenter(uid)
        assert (unwrap(found.firstName), unwrap(found.email), unwrap(found.ldap)) == (
            "New",
            "n@example.org",
            False,
        )

    def test_ldap_is_changed_by_its_own_service_and_by_saving(self, root, admin):
        uid = add_person(root, "flagged", add_group(root, "team of flagged"))
        root.sf.getLdapService().setDN(rlong(uid), "cn=flagged")
        assert unwrap(admin.getExperimenter(uid).ldap) is True
        changed = admin.getExperimenter(uid)
        changed.ldap = rbool(False)
        root.sf.getUpdateService().saveObject(changed)
        assert unwrap(admin.getExperimenter(uid).ldap) is False

    def test_root_keeps_its_name_for_itself(self, root, admin):
        special = admin.lookupExperimenter("root")
        special.omeName = rstring("another")
        with pytest.raises(omero.ValidationException, match="special experimenter"):
            admin.updateExperimenter(special)

    def test_somebody_who_is_not_there_is_said_so(self, admin):
        with pytest.raises(omero.ApiUsageException, match="No such experimenter"):
            admin.getExperimenter(12345)


class TestMemberships:
    """Who is in which group."""

    def test_groups_are_added_once_and_taken_away(self, root, admin):
        first, second = add_group(root, "m1"), add_group(root, "m2")
        uid = add_person(root, "mover", first)
        for _ in range(2):
            admin.addGroups(*people(uid), groups(second))
        assert memberships(admin, uid) == [first, USER_GROUP, second]
        assert set(admin.getMemberOfGroupIds(*people(uid))) == {first, USER_GROUP, second}
        for _ in range(2):
            admin.removeGroups(*people(uid), groups(first))
        assert set(memberships(admin, uid)) == {USER_GROUP, second}

    def test_nobody_begins_in_the_group_of_all_users(self, root, admin):
        first, second = add_group(root, "d1"), add_group(root, "d2")
        uid = add_person(root, "beginner", first, second)
        admin.removeGroups(*people(uid), groups(first))
        assert unwrap(admin.getDefaultGroup(uid).id) == second
        with pytest.raises(omero.ApiUsageException):
            admin.setDefaultGroup(*people(uid), *groups(USER_GROUP))
        with pytest.raises(omero.ApiUsageException, match="was not found"):
            admin.setDefaultGroup(*people(uid), *groups(first))
        admin.addGroups(*people(uid), groups(first))
        admin.setDefaultGroup(*people(uid), *groups(first))
        assert unwrap(admin.getDefaultGroup(uid).id) == first

    def test_everybody_stays_in_a_group_other_than_that_of_all_users(self, root, admin):
        key = add_group(root, "last one")
        uid = add_person(root, "stayer", key)
        with pytest.raises(omero.ValidationException, match="only the 'user' group"):
            admin.removeGroups(*people(uid), groups(key))
        with pytest.raises(omero.ValidationException, match="remain a member of some group"):
            admin.removeGroups(*people(uid), groups(key, USER_GROUP))
        admin.removeGroups(*people(uid), groups(USER_GROUP))
        assert memberships(admin, uid) == [key]

    @pytest.mark.parametrize("key", [SYSTEM_GROUP, USER_GROUP])
    def test_root_stays_what_it_is(self, admin, key):
        with pytest.raises(omero.ValidationException, match="may not be removed"):
            admin.removeGroups(*people(ROOT_USER), groups(key))

    def test_administrators_do_not_lock_themselves_out(self, server, root):
        add_person(root, "second", SYSTEM_GROUP)
        with server.client("second", "secret") as client:
            service = client.sf.getAdminService()
            with pytest.raises(omero.ValidationException, match="themselves"):
                service.removeGroups(*people(service.getEventContext().userId), groups(USER_GROUP))

    def test_no_groups_and_unknown_ones_are_refused(self, root, admin):
        uid = add_person(root, "refused", add_group(root, "team of refused"))
        with pytest.raises(omero.ValidationException, match="Nothing to do"):
            admin.addGroups(*people(uid), [])
        for who, where in ((uid, 9999), (9999, USER_GROUP)):
            with pytest.raises(omero.ValidationException):
                admin.addGroups(*people(who), groups(where))
        with pytest.raises(omero.ApiUsageException):
            admin.addGroups(person("unsaved"), groups(USER_GROUP))

    def test_owners_are_made_and_unmade(self, root, admin):
        key = add_group(root, "owned")
        uid, other = add_person(root, "owner", key), add_person(root, "not yet", add_group(root, "elsewhere"))
        admin.addGroupOwners(*groups(key), people(uid, other))
        assert members(admin, key) == {uid: True, other: True}
        assert list(admin.getLeaderOfGroupIds(*people(other))) == [key]
        admin.removeGroupOwners(*groups(key), people(other))
        admin.unsetGroupOwner(*groups(key), *people(uid))
        assert members(admin, key) == {uid: False, other: False}
        admin.setGroupOwner(*groups(key), *people(uid))
        assert members(admin, key)[uid] is True

    def test_who_is_no_member_becomes_one_by_being_unmade_an_owner(self, root, admin):
        key = add_group(root, "surprise")
        uid = add_person(root, "surprised", add_group(root, "far away"))
        admin.removeGroupOwners(*groups(key), people(uid))
        assert members(admin, key) == {uid: False}


class TestRights:
    """What others than administrators may do."""

    @pytest.fixture(scope="class")
    def team(self, root):
        return add_group(root, "led"), add_group(root, "not led")

    @pytest.fixture(scope="class")
    def leader(self, server, root, admin, team):
        uid = add_person(root, "leader", team[0])
        admin.addGroupOwners(*groups(team[0]), people(uid))
        with server.client("leader", "secret") as client:
            yield client.sf.getAdminService()

    @pytest.fixture(scope="class")
    def member(self, server, root, team):
        add_person(root, "plain", team[0])
        with server.client("plain", "secret") as client:
            yield client.sf.getAdminService()

    def test_owners_decide_who_is_in_their_group_and_in_no_other(self, root, admin, leader, team):
        mine, other = team
        uid = add_person(root, "guided", other)
        leader.addGroups(*people(uid), groups(mine))
        assert members(admin, mine)[uid] is False
        leader.addGroupOwners(*groups(mine), people(uid))
        leader.removeGroups(*people(uid), groups(mine))
        assert uid not in members(admin, mine)
        for refused in (
            lambda: leader.addGroups(*people(uid), groups(mine, other)),
            lambda: leader.removeGroups(*people(uid), groups(other)),
            lambda: leader.addGroupOwners(*groups(other), people(uid)),
            lambda: leader.createExperimenterWithPassword(
                person("sneaky"), rstring("pw"), *groups(mine), groups(SYSTEM_GROUP)
            ),
        ):
            with pytest.raises(omero.SecurityViolation, match="neither admin nor group-leader"):
                refused()

    def test_owners_make_people_in_their_group_and_change_its_text(self, admin, leader, team):
        uid = leader.createExperimenterWithPassword(
            person("by leader"), rstring("pw"), *groups(team[0]), groups(USER_GROUP)
        )
        assert memberships(admin, uid) == [team[0], USER_GROUP]
        changed = leader.getGroup(team[0])
        changed.description = rstring("by its owner")
        leader.updateGroup(changed)
        assert unwrap(admin.getGroup(team[0]).description) == "by its owner"

    def test_groups_are_made_by_administrators(self, leader):
        with pytest.raises(omero.SecurityViolation, match="No matching roles"):
            leader.createGroup(group("own"))

    def test_members_decide_nothing(self, member, team):
        for refused in (
            lambda: member.addGroups(*people(ROOT_USER), groups(team[0])),
            lambda: member.addGroupOwners(*groups(team[0]), people(ROOT_USER)),
            lambda: member.changeUserPassword("root", rstring("mine now")),
            lambda: member.updateExperimenter(member.getExperimenter(ROOT_USER)),
        ):
            with pytest.raises(omero.SecurityViolation):
                refused()

    def test_everybody_changes_their_own_address_and_not_their_name(self, admin, member):
        uid = member.getEventContext().userId
        own = member.getExperimenter(uid)
        own.email, own.omeName = rstring("own@example.org"), rstring("root2")
        member.updateExperimenter(own)
        found = admin.getExperimenter(uid)
        assert (unwrap(found.email), unwrap(found.omeName)) == ("own@example.org", "plain")

    def test_the_directory_flag_is_for_administrators(self, server, root):
        uid = add_person(root, "flag", add_group(root, "team of flag"))
        with server.client("flag", "secret") as client:
            with pytest.raises(omero.SecurityViolation):
                client.sf.getLdapService().setDN(rlong(uid), "cn=flag")
            with pytest.raises(omero.SecurityViolation):
                client.sf.getUpdateService().saveObject(client.sf.getAdminService().getExperimenter(uid))


class TestWhatIsNotThere:
    """What the stand-in does not have is refused, and never answered with a false yes."""

    def test_operations_that_it_does_not_have(self, root, admin):
        for refused in (
            lambda: admin.deleteGroup(*groups(USER_GROUP)),
            lambda: admin.deleteExperimenter(*people(ROOT_USER)),
            lambda: admin.setAdminPrivileges(*people(ROOT_USER), []),
            lambda: root.sf.getUpdateService().saveAndReturnObject(omero.model.ProjectI()),
            lambda: root.sf.getUpdateService().saveObject(omero.model.ProjectI()),
            root.sf.getContainerService,
            root.sf.sharedResources,
            root.sf.createRawFileStore,
            lambda: root.sf.getByName("omero.api.IRoi"),
        ):
            with pytest.raises(omero.ApiUsageException, match="stand-in"):
                refused()

    def test_settings_are_told_without_passwords(self, root):
        config = root.sf.getConfigService()
        assert config.getVersion() == "5.6.17"
        assert config.getConfigValue("omero.security.password_required") == "true"
        assert config.getConfigValue("no.such.setting") == ""
        for name in ("omero.db.pass", "omero.ldap.password"):
            with pytest.raises(omero.SecurityViolation):
                config.getConfigValue(name)
