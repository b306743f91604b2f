package wire

import (
	"net/url"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Base is the path under which this version of the API is served.
const Base = "/api/v1"

// List is a part of a list.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next" doc:"The cursor of the next part; null when this is the last. The Link header has the whole URL."`
	Total *int    `json:"total" doc:"How many items the whole list has; null when that was not counted, or is not known."`
	// UnknownBecause keeps an empty list from being read as "none".
	UnknownBecause string `json:"unknown_because" doc:"Why the list may lack items. Empty when it has all there are."`
}

// Part is a [List] as it is sent, whatever is in it: code that is compiled once.
type Part struct {
	Items          []any   `json:"items"`
	Next           *string `json:"next"`
	Total          *int    `json:"total"`
	UnknownBecause string  `json:"unknown_because"`
}

// ListOf converts a part of a list, item by item.
func ListOf[A, T any](part account.List[A], each func(*A) T) *Part {
	return partOf(len(part.Items), part.Next, part.Total, func(i int) any { return each(&part.Items[i]) })
}

func partOf(items int, next string, total int, item func(int) any) *Part {
	p := &Part{Items: make([]any, items)}
	for i := range p.Items {
		p.Items[i] = item(i)
	}
	if next != "" {
		p.Next = &next
	}
	if total >= 0 {
		p.Total = &total
	}
	return p
}

// Unknown says why the list may lack items, and takes its total back. It does nothing
// without a reason.
func (p *Part) Unknown(why string) {
	if p.UnknownBecause = why; why != "" {
		p.Total = nil
	}
}

// moment is t in UTC, nil when it is not known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

// texts is s as a list that is never null.
func texts[T ~string](s []T) []string {
	list := make([]string, 0, len(s))
	for _, text := range s {
		list = append(list, string(text))
	}
	return list
}

// each converts a list; it is never null.
func each[A, T any](list []A, convert func(*A) T) []T {
	converted := make([]T, 0, len(list))
	for i := range list {
		converted = append(converted, convert(&list[i]))
	}
	return converted
}

// Segment is a repository as one segment of a URL's path: with ~ for /, a character that
// no repository has and no proxy touches.
func Segment(repository string) string {
	return url.PathEscape(strings.ReplaceAll(repository, "/", "~"))
}

// Repository is what [Segment] made, or the same with %2F for /, as a repository.
func Repository(segment string) string { return strings.ReplaceAll(segment, "~", "/") }

// ComponentPath is where the API tells of a component.
func ComponentPath(repository string) string { return Base + "/components/" + Segment(repository) }

// ReleasePath is where the API tells of a release.
func ReleasePath(ref account.Ref) string {
	return ComponentPath(ref.Repository) + "/releases/" + url.PathEscape(ref.Name)
}

// DocumentPath is where the API serves a document.
func DocumentPath(digest release.Digest) string {
	return Base + "/documents/" + url.PathEscape(string(digest))
}

// RefOf names a release as people do: by its version, or else by its digest.
func RefOf(s *account.Standing) account.Ref {
	ref := account.Ref{Repository: s.Image.Repository, Name: s.Version}
	if ref.Name == "" {
		ref.Name = string(s.Image.Digest)
	}
	return ref
}

// ID is the stable id of a release: repository:version, or repository@digest. It can be
// pulled.
func ID(ref account.Ref) string {
	if _, err := release.ParseDigest(ref.Name); err == nil {
		return ref.Repository + "@" + ref.Name
	}
	return ref.Repository + ":" + ref.Name
}

// ParseID reads what [ID] made.
func ParseID(id string) (account.Ref, bool) {
	if repository, digest, ok := strings.Cut(id, "@"); ok {
		_, err := release.ParseDigest(digest)
		return account.Ref{Repository: repository, Name: digest}, err == nil && repository != ""
	}
	colon, slash := strings.LastIndexByte(id, ':'), strings.LastIndexByte(id, '/')
	if colon <= 0 || colon < slash || colon == len(id)-1 {
		return account.Ref{}, false
	}
	return account.Ref{Repository: id[:colon], Name: id[colon+1:]}, true
}

// AdvisoryPath is where the API tells of an advisory.
func AdvisoryPath(id string) string { return Base + "/advisories/" + url.PathEscape(id) }
