// Package bench measures segment repair in virtual time: the real endpoints, over
// seeded weather, beside the baselines that users would pick instead and the bounds
// of theory (repair/limits). It is what `causeway bench repair` runs; what costs
// real CPU time is measured by bench/forward and bench/sessions.
package bench
