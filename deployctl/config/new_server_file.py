"""The text that `init` writes as config/server.toml: every key of it, switched off, at its default."""

SERVER_TEMPLATE = '''\
# This server. Everything here is optional: a key behind a # has the default shown.
# Take the # away to change one; its [table] must be switched on, too.

#registries = []                   # where images may come from besides Docker Hub and the apps' own registries
#pull = "newer"                    # ask the registry whether a tag has moved: "newer", "always", "missing", "never"

#[engine]
#url = "unix:///var/run/docker.sock"   # also "tcp://host:2375" or "ssh://user@host"; left out: DOCKER_HOST or this
#timeout = "20s"                   # how long Docker may take for one answer
#labels = {}                       # put on everything that is made: { "team.name" = "shop" }

#[haproxy]
#binary = "/usr/sbin/haproxy"      # 2.6 or later; left out: the one that came with deployctl

#[proxy]
#http = "127.0.0.1:8080"           # where apps with a host name are served
#preview_from = ["127.0.0.0/8", "::1/128"]   # who may ask for a version by header or cookie; [] is nobody
#trusted_proxies = []              # proxies in front whose X-Forwarded-… reach the apps: ["127.0.0.0/8", "::1/128"]
#proxy_protocol = false            # true: `http` expects the PROXY protocol from trusted_proxies
#timeout = "60s"                   # a silent client or app is cut off after that
#tunnel = "1h"                     # the same for websockets

#[network]
#pool = "172.28.0.0/14"            # private, /12 to /24; cut into a /24 for each app
#reach = "auto"                    # "bridge": by container address, "loopback": by published port

#[ports]
#range = "20000-27999"             # host ports of instances, for previews and people

#[web]
#listen = "127.0.0.1:8900"         # where the dashboard and the API of `deployctl serve` are
#url = "https://deploy.example.com"   # what people type when another proxy in front ends TLS; left out: listen
#proxies = []                      # who in front is believed about addresses: ["127.0.0.1/32"]; [] is nobody
#enabled = true                    # false: `deployctl serve` only watches
#connections = 64                  # open ones of one address (IPv6: /64), one visitor behind `proxies`, one person
#head_timeout = "10s"              # in which a request must have begun in full
#streams = 6                       # live pages of one session or token

#[retention]
#keep_warm = 1                     # standbys that keep running, for each app
#keep_stopped = 5                  # earlier versions kept stopped, for each app
'''
