"""The APIs of the grid configuration, and of the place of the delay server, which is kept there too."""

from . import grid
from .api import Reply, api
from .errors import Code, IrodsError
from .session import Session
from .wire import Message, Node, element, leaf

_IGNORE = "ignore"
_READ_ONLY = "Specified grid configuration is not allowed to be modified."
_MAX_HOST = 64


@api(20009, "GET_GRID_CONFIGURATION_VALUE_APN", admin=True)
def get(session: Session, message: Message) -> Reply:
    """Return a value; -808000 for an option that is not there."""
    node = Node.parse(message.body)
    with session.catalogue.read() as tx:
        value = grid.stored(tx, node.get("name_space"), node.get("option_name"))
    return Reply(body=element("GridConfigurationOut_PI", leaf("option_value", value)))


@api(20010, "SET_GRID_CONFIGURATION_VALUE_APN", admin=True)
def put(session: Session, message: Message) -> Reply:
    """Replace the value of an option that is there; some are protected."""
    node = Node.parse(message.body)
    name_space, option = node.get("name_space"), node.get("option_name")
    if name_space == grid.DELAY_SERVER or (name_space, option) == ("database", "schema_version"):
        raise IrodsError(Code.SYS_NOT_ALLOWED, stack=[(Code.SYS_NOT_ALLOWED.value, _READ_ONLY)])
    with session.catalogue.write() as tx:
        grid.store(tx, name_space, option, node.get("option_value"))
    return Reply()


@api(20011, "SET_DELAY_SERVER_MIGRATION_INFO_APN", admin=True)
def migrate(session: Session, message: Message) -> Reply:
    """Note who runs the delay server and who is to; as upstream, without asking whether they are there."""
    node = Node.parse(message.body)
    names = {option: node.get(option) for option in ("leader", "successor")}
    if len(set(names.values())) == 1:
        return Reply()
    changed = {option: host for option, host in names.items() if host != _IGNORE}
    if any(len(host) > _MAX_HOST for host in changed.values()):
        raise IrodsError(Code.SYS_INVALID_INPUT_PARAM)
    with session.catalogue.write() as tx:
        for option, host in changed.items():
            grid.store(tx, grid.DELAY_SERVER, option, host)
    return Reply()
