// Package service runs the HTTP server that every program of ours has, from
// the first listen to the last close.
//
// A service is in one of three states, which /readyz tells:
//
//	starting   the listener is open, /healthz answers, the application is
//	           still being put together; other pages answer 503
//	ready      everything answers; /readyz runs the named checks
//	draining   a signal came; /readyz answers 503, everything else is answered
//	           for a while yet, the last on its connection; then requests that are
//	           under way are finished, and the application's steps stopped in order
//
// Whatever happens after the signal is bounded by one deadline. A second signal
// cuts it short.
package service
