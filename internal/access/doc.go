// Package access decides who may use web, and writes down who did what.
//
// A [Guard] stands before every route. A [Route] says which role it takes, and the
// guard refuses to install one that does not, so no page can be forgotten. For each
// request the guard finds out, in this order:
//
//	where from    the address and scheme that the browser saw, through trusted proxies
//	how           an unsafe request with cookies comes from our own pages, else 403
//	who           Authorization: Bearer, else the session's cookie, else anonymous
//	how often     a token bucket for each principal, or each address, else 429
//	may they      role and scope of the route; else a page sends to /login, and an API
//	              answers 401, when it is nobody; 403 when it is somebody
//
// What it found is in the context of the request: [Of] and [From].
//
// A token is tally_<id>_<secret>; what is kept of it is its SHA-256. A session is a
// random id in a cookie; what is kept of it is its SHA-256. Whoever reads the database
// gets in with neither.
package access
