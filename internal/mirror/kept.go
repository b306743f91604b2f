package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tallyman-io/tallyman/internal/feed"
)

// kept is state.json: which zips are kept, and which database was made of them.
type kept struct {
	Source string `json:"source"`
	// Database is the digest of the data that were imported from the zips.
	Database string              `json:"database"`
	Feeds    map[string]keptFeed `json:"feeds"`
}

type keptFeed struct {
	State feed.State `json:"state"`
	// Size in bytes and ModTime tell whether the zip is the one of the state.
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mod_time"`
}

func zipFile(dir, ecosystem string) string { return filepath.Join(dir, ecosystem, "all.zip") }

// readKept returns what is kept of a source, without the zips that are not there any
// more. A state that cannot be read is none: everything is fetched again.
func readKept(dir, source string) kept {
	none := kept{Source: source, Feeds: make(map[string]keptFeed)}
	raw, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		return none
	}
	var k kept
	if json.Unmarshal(raw, &k) != nil || k.Source != source || k.Feeds == nil {
		return none
	}
	for ecosystem, f := range k.Feeds {
		info, err := os.Stat(zipFile(dir, ecosystem))
		if err != nil || info.Size() != f.Size || !info.ModTime().Equal(f.ModTime) {
			delete(k.Feeds, ecosystem)
		}
	}
	return k
}

// Synced tells when the source was last asked for the feeds of a database, by ecosystem: a
// source that has nothing new leaves the database as it was made, and its data are fresh
// all the same. It is empty where the data, which the digest names, are not of an update.
func Synced(database, digest string) map[string]time.Time {
	all := make(map[string]time.Time)
	raw, err := os.ReadFile(filepath.Join(Dir(database), "state.json"))
	var k kept
	if err != nil || json.Unmarshal(raw, &k) != nil || k.Database != digest {
		return all
	}
	for ecosystem, f := range k.Feeds {
		all[ecosystem] = f.State.SyncedAt
	}
	return all
}

func (k *kept) state(ecosystem string) feed.State { return k.Feeds[ecosystem].State }

func (k *kept) has(ecosystem string) bool {
	_, ok := k.Feeds[ecosystem]
	return ok
}

func (k *kept) set(dir, ecosystem string, state feed.State) error {
	info, err := os.Stat(zipFile(dir, ecosystem))
	if err != nil {
		return err
	}
	k.Feeds[ecosystem] = keptFeed{state, info.Size(), info.ModTime()}
	return nil
}

func (k *kept) synced(ecosystem string, now time.Time) {
	f := k.Feeds[ecosystem]
	f.State.SyncedAt = now
	k.Feeds[ecosystem] = f
}

// write replaces state.json as a whole.
func (k *kept) write(dir string) (err error) {
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	f, err := os.CreateTemp(dir, ".state-*")
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, "state.json"))
	}
	if err != nil {
		return fmt.Errorf("update: write the state: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
