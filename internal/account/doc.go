// Package account has what is told of the tally, to people and to programs: the
// releases with how they stand now and stood at release, the findings and packages of
// one, what came in, and what is being done. It is what the console and the API read
// out of the store; it has no behaviour but that of its words.
package account
