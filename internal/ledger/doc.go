// Package ledger has the types in which the tally is kept: what the steps of the tally
// hand to the store and take out of it. An image that is looked at again and again is
// a [Case]; what one cause changed is a [Wave].
package ledger
