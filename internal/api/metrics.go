package api

import (
	"context"

	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/service"
)

// mostMeasured bounds the releases of each component that have metrics, the newest, so
// that there are not more series with every release for ever.
const mostMeasured = 10

// Metrics writes both figures of each of the newest releases: how long its build took,
// and its critical findings now. What is not known has no sample, and 0 in the family
// whose name ends in _known, so that an alert can tell "none" from "nobody knows".
func (a *API) Metrics(ctx context.Context, e *service.Exposition) error {
	components, err := a.cfg.Store.Components(ctx)
	if err != nil {
		return err
	}
	data, err := a.cfg.Store.AdvisoryData(ctx)
	if err != nil {
		return err
	}
	type measured struct {
		repository string
		kpi        wire.KPI
	}
	var releases []measured
	for i := range components {
		trend := components[i].Trend
		for j := max(0, len(trend)-mostMeasured); j < len(trend); j++ {
			releases = append(releases, measured{components[i].Repository, wire.KPIOf(&trend[j])})
		}
	}
	gauge := func(name, help string, value func(*wire.KPI) (float64, bool)) {
		e.Family(name, "gauge", help)
		for i := range releases {
			if v, ok := value(&releases[i].kpi); ok {
				e.Sample(v, "repository", releases[i].repository, "version", releases[i].kpi.Version)
			}
		}
	}
	gauge("tallyman_release_build_duration_seconds", "How long the build of the release took, by verified provenance.",
		func(k *wire.KPI) (float64, bool) { return known(k.BuildDuration) })
	gauge("tallyman_release_build_duration_known", "Whether the build duration of the release is known.",
		func(k *wire.KPI) (float64, bool) { return asNumber(k.BuildDuration != nil), true })
	gauge("tallyman_release_critical_findings", "Critical findings of the release now, without those that VEX suppresses.",
		func(k *wire.KPI) (float64, bool) { return known(k.Critical) })
	gauge("tallyman_release_critical_findings_known", "Whether the critical findings of the release are known.",
		func(k *wire.KPI) (float64, bool) { return asNumber(k.Critical != nil), true })
	e.Family("tallyman_release_verdict", "gauge", "The verdict on the release now; the value is always 1.")
	for i := range components {
		if latest := components[i].Latest; latest != nil {
			e.Sample(1, "repository", components[i].Repository, "version", latest.Version, "result", wire.VerdictOf(latest.Now).Result)
		}
	}
	e.Family("tallyman_advisory_feed_synced_timestamp_seconds", "gauge", "When the feed was last known to be complete.")
	for i := range data.Feeds {
		if at := data.Feeds[i].SyncedAt; !at.IsZero() {
			e.Sample(float64(at.Unix()), "ecosystem", data.Feeds[i].Ecosystem)
		}
	}
	return nil
}

// metrics serves the metrics to who may read, for those who do not show them to anybody
// who asks for /metrics.
func (a *API) metrics(ctx context.Context, _ *nothing) (*answer, error) {
	var e service.Exposition
	if err := a.Metrics(ctx, &e); err != nil {
		return nil, err
	}
	return &answer{raw: e.Text(), media: service.ExpositionType}, nil
}

func known[N int | float64](n *N) (float64, bool) {
	if n == nil {
		return 0, false
	}
	return float64(*n), true
}

func asNumber(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
