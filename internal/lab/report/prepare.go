package report

import (
	"math"
	"reflect"
)

// prepared returns a copy of d that every renderer can take: lists are lists
// and not null, numbers are numbers, and what follows from other fields follows.
// A report of a run that went wrong is still a report.
func prepared(d Data) Data {
	d = withoutNaN(reflect.ValueOf(d)).Interface().(Data)
	if d.Schema == 0 {
		d.Schema = Schema
	}
	if !d.Valid {
		d.Direct.Valid, d.Accelerated.Valid = false, false
		d.InvalidReason = verdict(d)
	}
	for _, s := range []*Side{&d.Direct, &d.Accelerated} {
		s.Loss = lossOf(s.Sent, s.Received)
		s.LossRuns = orEmpty(s.LossRuns)
		s.Hops = orEmpty(s.Hops)
		s.Series = orEmpty(s.Series)
	}
	d.Throughput = orEmpty(d.Throughput)
	d.Events = orEmpty(d.Events)
	d.Checks = orEmpty(d.Checks)
	d.Settings = orEmpty(d.Settings)
	d.Environment.Versions = orEmpty(d.Environment.Versions)
	d.Overlay.PoPs = orEmpty(d.Overlay.PoPs)
	d.Overlay.Routes = orEmpty(d.Overlay.Routes)
	d.Overlay.Segments = orEmpty(d.Overlay.Segments)
	if d.Control != nil { // a copy of our own: withoutNaN made it
		d.Control.Commands, d.Control.Restarts = orEmpty(d.Control.Commands), orEmpty(d.Control.Restarts)
	}
	return d
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// withoutNaN copies v deeply enough to replace what JSON cannot say and charts
// cannot draw: NaN and infinities become 0, or nil behind a pointer.
func withoutNaN(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Float64:
		if notFinite(v.Float()) {
			return reflect.Zero(v.Type())
		}
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		if v.Elem().Kind() == reflect.Float64 {
			if notFinite(v.Elem().Float()) {
				return reflect.Zero(v.Type())
			}
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(withoutNaN(v.Elem()))
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(withoutNaN(v.Index(i)))
		}
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v) // keeps unexported fields, time.Time's among them
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(withoutNaN(v.Field(i)))
			}
		}
		return out
	}
	return v
}

func notFinite(f float64) bool { return math.IsNaN(f) || math.IsInf(f, 0) }
