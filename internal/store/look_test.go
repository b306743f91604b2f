package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

const repo = "registry.example/acme/web"

var day = time.Date(2026, time.May, 1, 12, 0, 0, 123_000, time.UTC)

func digest(b string) release.Digest { return release.Digest("sha256:" + strings.Repeat(b, 32)) }

func image(d release.Digest) release.Image {
	return release.Image{
		Repository: repo, Digest: d, MediaType: "application/vnd.oci.image.index.v1+json",
		Revision: "c0ffee", Created: day.Add(-time.Hour),
		Platforms: []release.Platform{
			{OS: "linux", Architecture: "amd64", Digest: digest("aa"), CompressedSize: 7_000_000_000},
			{OS: "linux", Architecture: "arm", Variant: "v7", Digest: digest("bb"), CompressedSize: 1},
		},
	}
}

func complete(at time.Time) release.Look {
	return release.Look{Repository: repo, At: at, Outcome: release.OutcomeComplete}
}

func failed(at time.Time) release.Look {
	return release.Look{Repository: repo, At: at, Outcome: release.OutcomeUnknown, Cause: release.CauseThrottled, Reason: "throttled"}
}

func record(t *testing.T, s *store.Store, look release.Look, seen release.Sighting) []release.Move {
	t.Helper()
	moves, err := s.RecordLook(t.Context(), look, seen)
	if err != nil {
		t.Fatalf("record look: %v", err)
	}
	return moves
}

func overviewOf(t *testing.T, s *store.Store) []release.Component {
	t.Helper()
	all, err := s.Components(t.Context())
	if err != nil {
		t.Fatalf("overview: %v", err)
	}
	var bare []release.Component
	for i := range all {
		bare = append(bare, all[i].Component)
	}
	return bare
}

func TestAnEmptyStoreHasAnEmptyOverview(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		if got := overviewOf(t, open(t, url)); len(got) != 0 {
			t.Errorf("got %+v, want nothing", got)
		}
	})
}

func TestWatchedRepositoriesComeFirst(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		for _, list := range [][]string{{"c", "a"}, {"b", "c"}} {
			if err := s.Watch(t.Context(), list, 90*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		want := []release.Component{
			{Repository: "b", Watched: true, LookEvery: 90 * time.Second},
			{Repository: "c", Watched: true, LookEvery: 90 * time.Second},
			{Repository: "a", LookEvery: 90 * time.Second},
		}
		if diff := cmp.Diff(want, overviewOf(t, s)); diff != "" {
			t.Errorf("overview (-want +got):\n%s", diff)
		}
	})
}

func TestWhatALookSawComesBackAsItWas(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		silent := image(digest("02"))
		silent.Revision, silent.Created, silent.Platforms = "", time.Time{}, nil
		moves := record(t, s, complete(day), release.Sighting{
			Images: []release.Image{image(digest("01")), silent},
			Tags:   map[string]release.Digest{"v1.9.0": digest("02"), "v1.10.0": digest("01"), "latest": digest("01")},
		})
		if len(moves) != 0 {
			t.Errorf("got moves %+v, want none", moves)
		}
		look := complete(day)
		want := []release.Component{{
			Repository: repo, Watched: true, LastLook: &look, LastComplete: day, Releases: 2,
			Latest: &release.Release{Version: "v1.10.0", FirstSeen: day, Image: image(digest("01"))},
		}}
		if diff := cmp.Diff(want, overviewOf(t, s)); diff != "" {
			t.Errorf("overview (-want +got):\n%s", diff)
		}
		got, err := s.Release(t.Context(), account.Ref{Repository: repo, Name: "v1.9.0"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(release.Release{Version: "v1.9.0", FirstSeen: day, Image: silent}, got.Release); diff != "" {
			t.Errorf("release that states little (-want +got):\n%s", diff)
		}
		if _, err := s.Release(t.Context(), account.Ref{Repository: repo, Name: "v9.9.9"}); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("release that is not there: got %v", err)
		}
		images, err := s.Images(t.Context(), repo)
		if diff := cmp.Diff([]release.Digest{digest("01"), digest("02")}, images); diff != "" || err != nil {
			t.Errorf("images, %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestTheSameLookTwiceChangesNothingButItsTime(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		seen := release.Sighting{
			Images: []release.Image{image(digest("01"))},
			Tags:   map[string]release.Digest{"v1.0.0": digest("01")},
		}
		record(t, s, complete(day), seen)
		before, tags := overviewOf(t, s), tagsOf(t, s)
		if moves := record(t, s, complete(day.Add(time.Hour)), seen); len(moves) != 0 {
			t.Errorf("got moves %+v, want none", moves)
		}
		look := complete(day.Add(time.Hour))
		before[0].LastLook, before[0].LastComplete = &look, look.At
		if diff := cmp.Diff(before, overviewOf(t, s)); diff != "" {
			t.Errorf("overview (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(tags, tagsOf(t, s)); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	})
}

func tagsOf(t *testing.T, s *store.Store) []release.Tag {
	t.Helper()
	tags, err := s.Tags(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

func TestTheHistoryOfATag(t *testing.T) {
	t.Parallel()
	a, b := digest("0a"), digest("0b")
	hour := func(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }
	span := func(d release.Digest, generation int, from, gone time.Time) release.Tag {
		return release.Tag{Repository: repo, Name: "v1.0.0", Digest: d, Generation: generation, FirstSeen: from, GoneAt: gone}
	}
	move := func(from, to release.Digest, at time.Time) release.Move {
		return release.Move{Repository: repo, Tag: "v1.0.0", From: from, To: to, At: at}
	}
	tests := map[string]struct {
		looks []release.Digest // "" for one that does not see the tag
		tags  []release.Tag
		moves []release.Move
		moved time.Time
	}{
		"stays": {
			looks: []release.Digest{a, a},
			tags:  []release.Tag{span(a, 1, hour(0), time.Time{})},
		},
		"moves": {
			looks: []release.Digest{a, b},
			tags:  []release.Tag{span(a, 1, hour(0), hour(1)), span(b, 2, hour(1), time.Time{})},
			moves: []release.Move{move(a, b, hour(1))},
			moved: hour(1),
		},
		"moves there and back": {
			looks: []release.Digest{a, b, a},
			tags:  []release.Tag{span(a, 1, hour(0), hour(1)), span(b, 2, hour(1), hour(2)), span(a, 3, hour(2), time.Time{})},
			moves: []release.Move{move(a, b, hour(1)), move(b, a, hour(2))},
			moved: hour(2),
		},
		"is deleted": {
			looks: []release.Digest{a, ""},
			tags:  []release.Tag{span(a, 1, hour(0), hour(1))},
		},
		"is deleted and comes back as it was": {
			looks: []release.Digest{a, "", a},
			tags:  []release.Tag{span(a, 1, hour(0), time.Time{})},
		},
		"is deleted and comes back as another": {
			looks: []release.Digest{a, "", b},
			tags:  []release.Tag{span(a, 1, hour(0), hour(1)), span(b, 2, hour(2), time.Time{})},
			moves: []release.Move{move(a, b, hour(2))},
			moved: hour(2),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				s := open(t, url)
				var moves []release.Move
				for i, d := range tt.looks {
					seen := release.Sighting{Images: []release.Image{image(a), image(b)}, Tags: map[string]release.Digest{}}
					if d != "" {
						seen.Tags["v1.0.0"] = d
					}
					moves = append(moves, record(t, s, complete(hour(i)), seen)...)
				}
				if diff := cmp.Diff(tt.tags, tagsOf(t, s)); diff != "" {
					t.Errorf("tags (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.moves, moves); diff != "" {
					t.Errorf("moves (-want +got):\n%s", diff)
				}
				got, err := s.Release(t.Context(), account.Ref{Repository: repo, Name: "v1.0.0"})
				if err != nil || !got.MovedAt.Equal(tt.moved) || !got.FirstSeen.Equal(hour(0)) {
					t.Errorf("release: got %+v, %v; want it moved at %s", got.Release, err, tt.moved)
				}
				standing := 0
				if tt.looks[len(tt.looks)-1] != "" {
					standing = 1
				}
				if c := overviewOf(t, s)[0]; c.Releases != standing || (c.Latest != nil) != (standing == 1) {
					t.Errorf("overview: got %d releases, latest %+v; want %d", c.Releases, c.Latest, standing)
				}
			})
		})
	}
}

func TestALookThatIsNotCompleteTakesNothingBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		record(t, s, complete(day), release.Sighting{
			Images: []release.Image{image(digest("01"))}, Tags: map[string]release.Digest{"v1.0.0": digest("01")},
		})
		record(t, s, failed(day.Add(time.Hour)), release.Sighting{
			Images: []release.Image{image(digest("02"))}, Tags: map[string]release.Digest{"v1.1.0": digest("02")},
		})
		c := overviewOf(t, s)[0]
		look := failed(day.Add(time.Hour))
		if diff := cmp.Diff(&look, c.LastLook); diff != "" {
			t.Errorf("last look (-want +got):\n%s", diff)
		}
		if c.Releases != 2 || c.Latest.Version != "v1.1.0" || !c.LastComplete.Equal(day) {
			t.Errorf("got %d releases, latest %s, complete %s; want 2, v1.1.0, %s", c.Releases, c.Latest.Version, c.LastComplete, day)
		}
	})
}

func TestALookIsRecordedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		_, err := s.RecordLook(t.Context(), complete(day), release.Sighting{
			Images: []release.Image{image(digest("01"))},
			Tags:   map[string]release.Digest{"v1.0.0": digest("01"), "v1.1.0": digest("ff")},
		})
		if err == nil || !strings.Contains(err.Error(), "v1.1.0") {
			t.Fatalf("got error %v, want one that names the tag without an image", err)
		}
		if got := overviewOf(t, s); len(got) != 0 {
			t.Errorf("got %+v, want nothing", got)
		}
	})
}

func TestLooksAtTheSameTimeDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const writers, looks = 4, 8
		stores := []*store.Store{open(t, url), open(t, url)}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				s := stores[w%len(stores)]
				for i := range looks {
					d := digest(fmt.Sprintf("%02x", i))
					look := failed(day.Add(time.Duration(i) * time.Second)) // adds only
					_, err := s.RecordLook(t.Context(), look, release.Sighting{
						Images: []release.Image{image(d)},
						Tags:   map[string]release.Digest{fmt.Sprintf("v1.%d.0", i): d},
					})
					if err != nil {
						t.Errorf("writer %d, look %d: %v", w, i, err)
					}
					if _, err := s.Components(t.Context()); err != nil {
						t.Errorf("reader %d, look %d: %v", w, i, err)
					}
				}
			})
		}
		wg.Wait()
		if got := overviewOf(t, stores[0])[0].Releases; got != looks {
			t.Errorf("got %d releases, want %d", got, looks)
		}
	})
}
