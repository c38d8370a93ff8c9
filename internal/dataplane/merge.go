package dataplane

import (
	"cmp"
	"reflect"
	"slices"

	"causeway/internal/report"
)

// mergeReports makes one report of those of a PoP's lanes. All lanes have the same
// snapshot, so their lists go in step; what can be counted is added up, what is up
// has to be up in all, and of what is measured the first lane speaks for all.
func mergeReports(all []report.PoP) report.PoP {
	r := all[0]
	if len(all) == 1 {
		return r
	}
	list := slices.Clone(r.Sessions.List)
	for i := range all[1:] {
		other := all[1+i]
		list = append(list, other.Sessions.List...)
		r.Sessions.Truncated = r.Sessions.Truncated || other.Sessions.Truncated
		for _, a := range other.Alarms { // one lane may see what the first does not
			if !slices.ContainsFunc(r.Alarms, func(b report.Alarm) bool { return a.Kind == b.Kind && a.Object == b.Object }) {
				r.Alarms = append(r.Alarms, a)
			}
		}
		other.Sessions.List, other.Snapshot, other.Alarms = nil, report.Snapshot{}, nil
		addUp(reflect.ValueOf(&r).Elem(), reflect.ValueOf(&other).Elem(), "")
	}
	slices.SortStableFunc(list, func(a, b report.Session) int { return cmp.Compare(a.Idle, b.Idle) })
	if len(list) > report.ListLimit {
		list, r.Sessions.Truncated = list[:report.ListLimit], true
	}
	r.Sessions.List = list
	return r
}

// counted are the fields that count things which a lane has for itself.
var counted = map[string]bool{
	"Sessions": true, "Confirmed": true, "Unconfirmed": true, "Associations": true, "PortsInUse": true,
	"HeldNow": true, "Flows": true, "Used": true, "Rate": false, "HalfOpen": true, "Known": true,
}

func addUp(to, from reflect.Value, field string) {
	switch to.Kind() {
	case reflect.Struct:
		for i := range to.NumField() {
			if f := to.Type().Field(i); f.IsExported() {
				addUp(to.Field(i), from.Field(i), f.Name)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range min(to.Len(), from.Len()) {
			addUp(to.Index(i), from.Index(i), field)
		}
	case reflect.Map:
		mergeCounts(to, from)
	case reflect.Uint64:
		to.SetUint(to.Uint() + from.Uint())
	case reflect.Int:
		if counted[field] {
			to.SetInt(to.Int() + from.Int())
		}
	case reflect.Float64:
		if counted[field] {
			to.SetFloat(to.Float() + from.Float())
		}
	case reflect.Bool:
		if field == "Up" {
			to.SetBool(to.Bool() && from.Bool())
		}
	}
}

// mergeCounts adds up maps of counters.
func mergeCounts(to, from reflect.Value) {
	if to.Type().Elem().Kind() != reflect.Uint64 || from.Len() == 0 {
		return
	}
	sum := reflect.MakeMap(to.Type())
	for _, m := range [...]reflect.Value{to, from} {
		for it := m.MapRange(); it.Next(); {
			n := it.Value().Uint()
			if old := sum.MapIndex(it.Key()); old.IsValid() {
				n += old.Uint()
			}
			sum.SetMapIndex(it.Key(), reflect.ValueOf(n))
		}
	}
	to.Set(sum)
}
