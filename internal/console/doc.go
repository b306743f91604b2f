// Package console is the part of Tallyman that people look at: HTML pages made on
// the server, which need no JavaScript and fetch nothing from anybody else.
//
// It reads through the small interface [Store] and shows what it is told: what is
// not known is shown as unknown, with the reason, and never as zero or as good.
package console
