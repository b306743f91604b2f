// Package chart draws the console's charts as SVG, on the server: they need no
// JavaScript, load nothing, and hold neither style elements nor style attributes,
// so that they live under a content security policy that allows no inline style.
// Colours and lines are given to them by the classes in the console's style sheet.
//
// Every chart is a figure of three parts: a caption that says in words what there
// is to see, the drawing (an image to a screen reader, named by its title and
// described by the same words), and a table that can be unfolded and holds every
// number. What is not known is a [Value] of its own: it is drawn hatched and named
// "unknown", never as 0. All times are in UTC, and equal input gives equal bytes.
//
// The drawings are 360 units wide, so that their text has its natural size on a
// telephone; wider places scale them up.
//
// The table has a row for everything that is handed over, drawn or not: callers hand
// over what a page should hold.
//
// Labels may come from anybody: they are escaped, freed of what XML forbids, and
// shortened.
package chart
