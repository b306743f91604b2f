package ledger

import (
	"time"
)

// Message is something to deliver to a target.
type Message struct {
	// ID is the same however often it is tried.
	ID string
	// Notice is what it tells of, the same for every target.
	Notice string
	// Target names whom it is for; it holds no secret.
	Target    string
	Body      []byte
	CreatedAt time.Time
	// Attempts counts those that failed.
	Attempts int
	NextAt   time.Time
	// Done says that it was delivered or given up.
	Done bool
}

// Attempt is how an attempt to deliver a message ended.
type Attempt struct {
	ID string
	// Delivered and Dead end it. Otherwise it is tried again at NextAt.
	Delivered, Dead bool
	NextAt          time.Time
	// Reason is why it was not delivered.
	Reason string
}
