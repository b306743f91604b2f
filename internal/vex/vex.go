package vex

type Document struct{}
