"""The text that `init` writes as config/server.toml: every key, commented out, with its default."""

SERVER_TEMPLATE = '''\
# This server. Everything here is optional: keys that are commented out show their defaults.
# To change one, uncomment it and its [table].

#registries = []                   # registries to allow besides Docker Hub and the apps' own
#pull = "newer"                    # when to ask the registry whether a tag has moved: "newer", "always", "missing", "never"

#[engine]
#url = "unix:///var/run/docker.sock"   # also "tcp://host:2375" or "ssh://user@host"; default: DOCKER_HOST or this
#timeout = "20s"                   # time limit for one Docker request
#labels = {}                       # added to everything that is created: { "team.name" = "shop" }

#[haproxy]
#binary = "/usr/sbin/haproxy"      # 2.6 or later; default: the one that came with deployctl

#[proxy]
#http = "127.0.0.1:8080"           # where apps with a host name are served
#preview_from = ["127.0.0.0/8", "::1/128"]   # who may select a version by header or cookie; [] is no one
#trusted_proxies = []              # upstream proxies whose X-Forwarded-… reach the apps: ["127.0.0.0/8", "::1/128"]
#proxy_protocol = false            # true: `http` expects the PROXY protocol from trusted_proxies
#timeout = "60s"                   # idle time-out for clients and apps
#tunnel = "1h"                     # the same for websockets

#[network]
#pool = "172.28.0.0/14"            # private, /12 to /24; each app gets a /24
#reach = "auto"                    # "bridge": by container address, "loopback": by published port

#[ports]
#range = "20000-27999"             # host ports of instances, for previews and people

#[web]
#listen = "127.0.0.1:8900"         # address of the dashboard and API of `deployctl serve`
#url = "https://deploy.example.com"   # the public URL if an upstream proxy terminates TLS; default: listen
#proxies = []                      # upstream proxies whose X-Forwarded-For is trusted: ["127.0.0.1/32"]; [] is none
#enabled = true                    # false: `deployctl serve` only runs the watcher
#connections = 64                  # open connections per address (IPv6: /64), per client behind `proxies`, per user
#head_timeout = "10s"              # time limit for receiving a request's headers
#streams = 6                       # live pages per session or token

#[secrets]
#key_file = "/etc/deployctl/secrets.key"   # encrypts the apps' secrets; default: state/secrets.key in the home

#[retention]
#keep_warm = 1                     # running standbys per app
#keep_stopped = 5                  # stopped versions kept per app

# What the app `shop` may have of this server beyond its own containers; its file still has to ask for it.
#[allow.shop]
#keys = []                         # cap_add, devices, gpus, ipc, pid, privileged, security_opt, sysctls
#binds = []                        # paths that it may mount, each with all below it: ["/srv/media"]
#docker_socket = false             # true: it may mount Docker's socket, and is root on this server
'''
