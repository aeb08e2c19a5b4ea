"""The HTTP engine: connections, limits, retries and errors, once for every store with an HTTP API.

`network`: which machine a request goes to, and by which way: TLS, private authorities, proxies.
`incoming`: what arrives on a connection: with a stall timeout, and strict about heads.
`connection`: one connection.
`messages`: requests and responses.
`failures`: what went wrong, as an error of `connectors.errors`, and whether a retry may help.
`client`: sends requests, and keeps connections for the next ones.

It stands on `http.client`, not on a larger HTTP library: see docs/decisions/0018.
"""
