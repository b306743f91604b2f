// Package notify tells others of a [release.Notice]: it composes one message for
// each target, and sends it.
//
// A [Sender] keeps nothing and starts nothing. Whoever keeps the messages calls
// [Sender.Compose] once for a notice, stores the deliveries with the changes that
// they tell of, and calls [Sender.Send] until the outcome is final. The id of a
// delivery stays the same, so that a receiver can drop what comes twice.
//
// Webhooks follow Standard Webhooks 1.0.0
// (https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md);
// docs/notify.md tells receivers what to expect. The address of a target often
// holds a token: it is never part of an outcome, an error or a printed value.
package notify
