package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// tables are ours, in an order in which rows name only rows of tables before. Those of
// River, requests, dossiers, the leases of processes and the sessions of browsers are not
// among them: they are of one database and of the moment.
func tables() []string {
	return []string{
		"repository", "image", "platform", "tag", "release",
		"examination", "evidence", "evidence_change", "document", "image_document", "package", "document_package",
		"feed", "ecosystem", "advisory", "advisory_version", "advisory_alias", "affected",
		"finding", "exposure", "statement", "upload", "wave", "wave_image", "wave_finding", "verdict",
		"outbox", "progress",
		"token", "audit",
	}
}

// kind is what a column holds, whatever the engine calls it.
type kind string

const (
	kindText   kind = "text"
	kindNumber kind = "number"
	kindTruth  kind = "truth"
	kindBytes  kind = "bytes"
)

// column is a column of a table.
type column struct {
	Name string `json:"name"`
	Kind kind   `json:"kind"`
	// key is its place in the primary key, from 1; 0 when it is not in it.
	key int
}

// tableColumns reads the columns of one of our tables, in the order of their names, which is the
// same on both engines.
func (s *Store) tableColumns(ctx context.Context, tx *transaction, table string) ([]column, error) {
	all, err := s.engine.columns(ctx, tx, table)
	if err != nil {
		return nil, fmt.Errorf("read the columns of table %s: %w", table, err)
	}
	slices.SortFunc(all, func(a, b column) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// primaryKey returns the columns of the primary key, in its order.
func primaryKey(columns []column) []string {
	var key []column
	for _, c := range columns {
		if c.key > 0 {
			key = append(key, c)
		}
	}
	slices.SortFunc(key, func(a, b column) int { return cmp.Compare(a.key, b.key) })
	names := make([]string, len(key))
	for i, c := range key {
		names[i] = c.Name
	}
	return names
}
