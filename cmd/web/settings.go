package main

import (
	"fmt"
	"strings"

	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/console"
)

// shown are the settings in force for the page that shows them. They are redacted already.
func shown(values []config.Value) []console.Setting {
	all := make([]console.Setting, 0, len(values))
	for _, v := range values {
		text := fmt.Sprint(v.Shown)
		if list, ok := v.Shown.([]string); ok {
			text = strings.Join(list, ", ")
		}
		all = append(all, console.Setting{Key: v.Key, Value: text, Origin: v.Origin})
	}
	return all
}

// told are [shown] for the API.
func told(values []config.Value) []wire.Setting {
	all := make([]wire.Setting, 0, len(values))
	for _, s := range shown(values) {
		all = append(all, wire.Setting(s))
	}
	return all
}
