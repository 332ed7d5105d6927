"""Which kind of component a service becomes: chosen by its image, its role and its mounts, and the reason for it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deployctl.domain.images.component import ComponentKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.compose.service import Part, Service

# Programs that keep data for others, by the last part of their image's name, and our preset for them.
STORES: Mapping[str, str | None] = {
    "postgres": "postgres", "postgresql": "postgres", "postgis": "postgres", "timescaledb": "postgres", "pgvector": "postgres",
    "timescaledb-ha": "postgres", "pgvecto-rs": "postgres",
    "mariadb": "mariadb", "mysql": "mysql", "mysql-server": "mysql", "percona": "mysql", "percona-server": "mysql",
    "mongo": "mongodb", "mongodb": "mongodb", "mongodb-community-server": "mongodb",
    "redis": "redis", "redis-stack": "redis", "redis-stack-server": "redis", "valkey": None, "keydb": None, "dragonfly": None,
    "rabbitmq": "rabbitmq", "memcached": None, "elasticsearch": None, "opensearch": None, "nats": None, "clickhouse": None,
    "clickhouse-server": None, "minio": None, "influxdb": None, "kafka": None, "zookeeper": None, "meilisearch": None,
    "typesense": None, "etcd": None, "cassandra": None, "scylla": None, "neo4j": None, "couchdb": None, "server": None,
    "cockroach": None, "solr": None, "qdrant": None, "weaviate": None, "milvus": None, "consul": None, "vault": None,
    "redpanda": None, "pulsar": None, "activemq": None, "activemq-artemis": None, "mosquitto": None, "eclipse-mosquitto": None,
    "victoria-metrics": None, "surrealdb": None, "rethinkdb": None, "arangodb": None, "tidb": None, "beanstalkd": None,
}
_SERVERS = {"mssql/server"}  # names of which the last part alone says too little
_LARGE = ("postgres", "mysql", "redis", "mongo", "mariadb", "elasticsearch", "opensearch", "clickhouse", "kafka", "rabbitmq")
_JOB = re.compile(r"(?:^|[-_.])(?:init|migrat\w*|migrations?|setup|seed\w*|bootstrap|prestart|fix\w*|create\w*|configurator|"
                  r"install\w*|wait\w*|provision\w*|mkbuckets?|createbuckets?|certs?|collectstatic)(?:[-_.]|$|\d)")
_SCHEDULER = re.compile(r"(?:^|[-_./ ])(?:beat|celerybeat|celery-beat|scheduler?|schedule|cron|crond|clock|ticker|supercronic)"
                        r"(?:[-_. ]|$)")


def store_preset(service: Service) -> tuple[bool, str | None]:
    """Return whether it keeps data for others, and our preset for it."""
    name, program = service.image.lower(), service.program
    if program == "server" and not any(name.endswith(one) for one in _SERVERS):
        return False, None
    if program in STORES:
        return True, STORES[program]
    for one in _LARGE:  # zulip-postgresql, postgres-pgroonga; mongodb_exporter is none
        if re.search(rf"(?:^|[-_]){one}(?:ql|db)?(?:[-_](?!exporter|backup|admin|commander|ui|insight)|$)", program):
            return "exporter" not in program and "backup" not in program, STORES.get(one)
    return False, None


def is_job(service: Service, services: Mapping[str, Service]) -> str | None:
    """Return why it runs once and ends; None if it does not."""
    for other in services.values():
        if other.needs.get(service.name, {}).get("condition") == "service_completed_successfully":
            return f"{other.name} waits until it has completed"
    if service.ports or service.raw.get("expose") or service.raw.get("healthcheck"):
        return None
    if service.restarts == "no" and not any(service.name in other.needs for other in services.values()):
        return "it is not restarted when it ends"
    if service.restarts in {None, "no", "on-failure"} and _JOB.search(service.name.lower()):
        return "its name says what it prepares, and it is not restarted when it ends well"
    return None


def is_scheduler(service: Service) -> bool:
    """Return whether two of it at a time would do everything twice."""
    words = " ".join(str(word) for key in ("entrypoint", "command") for word in service.raw.get(key) or ())
    return bool(_SCHEDULER.search(service.name.lower()) or _SCHEDULER.search(words.lower()))


def choose_kind(part: Part, services: Mapping[str, Service], own: tuple[str, ...]) -> None:
    """Set kind and reason; `own`: volumes that only this service writes to."""
    service = part.service
    store, preset = store_preset(service)
    if why := is_job(service, services):
        part.kind, part.why = ComponentKind.JOB, why
    elif store:
        part.kind, part.why = ComponentKind.BACKING, f"{service.program} keeps data for the others"
        part.table["preset"] = preset
    elif own:
        part.kind = ComponentKind.EXCLUSIVE
        part.why = f"only it writes to the volume {own[0]}, so two versions of it must not run at a time"
    elif is_scheduler(service):
        part.kind, part.why = ComponentKind.EXCLUSIVE, "two schedulers at a time would do everything twice"
    else:
        part.kind = ComponentKind.SIDE_BY_SIDE
        part.why = "nothing keeps two versions of it from running at a time"
