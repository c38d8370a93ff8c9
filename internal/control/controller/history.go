package controller

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"time"

	"causeway/internal/history"
	"causeway/internal/report"
)

// clockSlack is how far a PoP's clock may be off for its times to be believed.
const clockSlack = time.Minute

// keeper has what PoPs report kept as history. Its zero value keeps nothing.
type keeper struct {
	store  *history.Store
	failed func(pop string, err error)

	mu        sync.Mutex                   // guards what is below, and one report at a time is kept
	recorders map[string]*history.Recorder // by PoP
}

// KeepHistory has reports of PoPs kept in a store. It is called before agents are served.
func (c *Controller) KeepHistory(s *history.Store) {
	c.told.store, c.told.recorders = s, map[string]*history.Recorder{}
	c.told.failed = func(pop string, err error) {
		c.log.Debug("part of a PoP's history is not kept", "pop", pop, "reason", err)
	}
}

// forget lets go of the recorders of PoPs that are gone; what was kept stays.
func (k *keeper) forget(gone func(pop string) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.recorders, func(pop string, _ *history.Recorder) bool { return gone(pop) })
}

// keep takes in a report; reports of other agents have a slash in their name.
func (k *keeper) keep(pop string, text []byte) {
	if k.store == nil || len(text) == 0 || strings.Contains(pop, "/") {
		return
	}
	var p report.PoP
	if err := json.Unmarshal(text, &p); err != nil {
		k.failed(pop, err)
		return
	}
	p.Name = pop // what it calls itself is not asked
	if now := time.Now(); p.At.Sub(now).Abs() > clockSlack {
		p.At = now // its clock is off: what it did is kept when it was told
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.recorders[pop] == nil {
		k.recorders[pop] = history.NewRecorder(k.store)
	}
	if err := k.recorders[pop].Add(p); err != nil {
		k.failed(pop, err)
	}
}
