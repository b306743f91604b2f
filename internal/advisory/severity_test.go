package advisory

import (
	"math"
	"testing"
)

// Examples that FIRST publishes: CVSS v4.0, v3.1 and v2 "Examples" documents.
func TestScoreVector(t *testing.T) {
	t.Parallel()
	for vector, want := range map[string]float64{
		"CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": 7.3,  // CVE-2022-41741
		"CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": 7.7,  // CVE-2020-3549
		"CVSS:4.0/AV:L/AC:L/AT:N/PR:N/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N": 4.6,  // CVE-2021-44714
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H": 10.0, // CVE-2021-44228
		"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N":                    6.1,  // CVE-2013-1937
		"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N":                    6.4,  // CVE-2013-0375
		"CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N":                    3.1,  // CVE-2014-3566
		"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H":                    9.9,  // CVE-2012-1516
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N":                    7.5,  // CVE-2014-0160
		"AV:N/AC:L/Au:N/C:N/I:N/A:C":                                      7.8,  // CVE-2002-0392
		"(AV:N/AC:L/Au:N/C:C/I:C/A:C)":                                    10.0, // CVE-2003-0818
		"AV:L/AC:H/Au:N/C:C/I:C/A:C":                                      6.2,  // CVE-2003-0062
	} {
		if got, err := ScoreVector(vector); err != nil || math.Abs(got-want) > 0.001 {
			t.Errorf("%s: got %v, %v; want %v", vector, got, err, want)
		}
	}
	for _, bad := range []string{"", "7.5", "CVSS:5.0/AV:N", "CVSS:3.1/AV:N", "CVSS:4.0/", "AV:X"} {
		if got, err := ScoreVector(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestOwnSeverity(t *testing.T) {
	t.Parallel()
	const v2, v3, v4 = "AV:N/AC:L/Au:N/C:C/I:C/A:C", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
	for name, c := range map[string]struct {
		record string
		want   string
	}{
		"nobody rated it":          {`{"id":"A"}`, "unscored"},
		"the newest kind counts":   {`{"id":"A","severity":[{"type":"CVSS_V3","score":"` + v3 + `"},{"type":"CVSS_V4","score":"` + v4 + `"}]}`, "high 7.3 (CVSS_V4)"},
		"version 2":                {`{"id":"A","severity":[{"type":"CVSS_V2","score":"` + v2 + `"}]}`, "high 10.0 (CVSS_V2)"},
		"of an affected package":   {`{"id":"A","affected":[{"severity":[{"type":"CVSS_V3","score":"` + v3 + `"}]}]}`, "medium 6.1 (CVSS_V3)"},
		"a word":                   {`{"id":"A","database_specific":{"severity":"MODERATE"}}`, "medium"},
		"a broken vector":          {`{"id":"A","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/nonsense"}]}`, "unscored"},
		"no impact is not unrated": {`{"id":"A","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"}]}`, "none 0.0 (CVSS_V3)"},
		"severity is no word":      {`{"id":"A","database_specific":{"severity":7}}`, "unscored"},
	} {
		record, err := Parse([]byte(c.record))
		if err != nil {
			t.Fatal(err)
		}
		if got := record.OwnSeverity().String(); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func FuzzScoreVector(f *testing.F) {
	f.Add("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N")
	f.Add("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N")
	f.Add("AV:N/AC:L/Au:N/C:N/I:N/A:C")
	f.Fuzz(func(t *testing.T, vector string) {
		if score, err := ScoreVector(vector); err == nil && (score < 0 || score > 10 || math.IsNaN(score)) {
			t.Errorf("%q: got %v, want 0 to 10", vector, score)
		}
	})
}
