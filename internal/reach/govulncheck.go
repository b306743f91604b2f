package reach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// patience is how long one program may take.
const patience = 3 * time.Minute

// report is what govulncheck says of a program.
type report struct {
	tool     string
	aliases  map[string][]string
	findings map[string]*finding
}

type finding struct {
	modules map[string]bool
	// function: a function that the vulnerability names is in the program.
	function bool
}

func (l Look) govulncheck(ctx context.Context, program string) (report, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := l.Tools.Run(ctx, "govulncheck", "-mode=binary", "-format=json", "-db="+l.Database, program)
	if err != nil {
		return report{}, err
	}
	return readReport(out)
}

// message is one of the stream that govulncheck writes
// (golang.org/x/vuln/internal/govulncheck, "Message").
type message struct {
	Config *struct {
		Name    string `json:"scanner_name"`
		Version string `json:"scanner_version"`
	} `json:"config"`
	OSV *struct {
		ID      string   `json:"id"`
		Aliases []string `json:"aliases"`
	} `json:"osv"`
	Finding *struct {
		OSV   string `json:"osv"`
		Trace []struct {
			Module   string `json:"module"`
			Package  string `json:"package"`
			Function string `json:"function"`
		} `json:"trace"`
	} `json:"finding"`
}

func readReport(out []byte) (report, error) {
	r := report{aliases: make(map[string][]string), findings: make(map[string]*finding)}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var m message
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return r, fmt.Errorf("read govulncheck's answer: %w", err)
		}
		if m.Config != nil {
			r.tool = m.Config.Name + " " + m.Config.Version
		}
		if m.OSV != nil {
			r.aliases[m.OSV.ID] = m.OSV.Aliases
		}
		if m.Finding == nil {
			continue
		}
		if m.Finding.OSV == "" || len(m.Finding.Trace) == 0 || m.Finding.Trace[0].Module == "" {
			return r, errors.New("read govulncheck's answer: expected an id and a module in each finding")
		}
		f := r.findings[m.Finding.OSV]
		if f == nil {
			f = &finding{modules: make(map[string]bool)}
			r.findings[m.Finding.OSV] = f
		}
		f.modules[m.Finding.Trace[0].Module] = true
		// The first of the trace is the vulnerable one, as far as it is known to be there:
		// the module, the package, or the function.
		f.function = f.function || m.Finding.Trace[0].Function != ""
	}
	if r.tool == "" {
		return r, errors.New("read govulncheck's answer: expected its configuration, found none")
	}
	return r, nil
}
