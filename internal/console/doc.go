// Package console is the part of Tallyman that people look at: HTML pages made on
// the server, which need no JavaScript and fetch nothing from anybody else.
//
// It reads through the small interface [Store] and shows what it is told: what is
// not known is shown as unknown, with the reason, and never as zero or as good.
//
// Components carry go:noinline: they are small functions around large ones, so that
// inlining put a copy of a whole part of a page wherever it is used, 0.7 MB of web in all.
package console
