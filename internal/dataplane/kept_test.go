package dataplane

import (
	"strings"
	"testing"
	"time"
)

// full is a store whose disk is full.
type full struct{ missed uint64 }

func (f *full) Write(int, []byte)         { f.missed++ }
func (f *full) Erase(int)                 {}
func (f *full) Records(func(int, []byte)) {}
func (f *full) Missed() uint64            { return f.missed }

func TestADiskThatTakesNoSessionsIsSaidOnceAMinute(t *testing.T) {
	store := &full{}
	r := newRig(t, func(r *rig) { r.sh.store = store })
	for n := range uint16(5) {
		r.tunnel(port(clientIP, 600+n))
		r.run(time.Second)
	}
	if store.missed < 5 {
		t.Fatalf("the store was asked %d times", store.missed)
	}
	if n := strings.Count(r.sh.log.String(), "could not be kept on disk"); n != 1 {
		t.Errorf("said %d times: %s", n, r.sh.log.String())
	}
	if got := r.sh.engine.Report(r.now, time.Unix(0, 0)).Sessions; got.Missed != store.missed || got.Confirmed != 5 {
		t.Errorf("reported %+v", got)
	}
}
