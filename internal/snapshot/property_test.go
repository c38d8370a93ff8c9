package snapshot

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Names and addresses come from small pools, so that they meet.
func snapshots() *rapid.Generator[Snapshot] {
	name := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "A_b", "-"})
	label := rapid.Map(rapid.IntRange(0, 4), func(n int) Label { return Label(n) })
	publicKey := rapid.SampledFrom([]string{"", key(0), key(1), key(2), key(3), "AAAA", "\n", "not base64 at all"})
	address := rapid.SampledFrom([]netip.Addr{{}, addr("0.0.0.0"), addr("10.0.0.1"), addr("10.0.0.2"), addr("127.0.0.1"), addr("224.0.0.1"), addr("255.255.255.255"),
		addr("::"), addr("2001:db8::1"), addr("fe80::1%x"), addr("::ffff:10.0.0.1"), addr("64:ff9b::127.0.0.1"), addr("64:ff9b::10.0.0.1"), addr("2002:7f00:1::")})
	port := rapid.SampledFrom([]uint16{0, 1, 500, 4500, 4600, 65535})
	addressPort := rapid.Custom(func(t *rapid.T) netip.AddrPort {
		return netip.AddrPortFrom(address.Draw(t, "address"), port.Draw(t, "port"))
	})
	twoForms := rapid.Custom(func(t *rapid.T) Address {
		return Address{Bind: address.Draw(t, "bind"), Public: address.Draw(t, "public")}
	})
	number := rapid.OneOf(rapid.Just(0), rapid.Int())
	duration := rapid.Map(rapid.Int64(), func(n int64) time.Duration { return time.Duration(n) })
	allow := rapid.Custom(func(t *rapid.T) netip.Prefix {
		return netip.PrefixFrom(address.Draw(t, "address"), rapid.IntRange(-1, 130).Draw(t, "bits"))
	})
	overlay := rapid.Custom(func(t *rapid.T) Overlay {
		return Overlay{Name: name.Draw(t, "name"), Bind: addressPort.Draw(t, "bind"), Public: addressPort.Draw(t, "public"), MTU: number.Draw(t, "mtu")}
	})
	wire := rapid.Custom(func(t *rapid.T) Wire {
		return Wire{Local: name.Draw(t, "local"), Remote: addressPort.Draw(t, "remote")}
	})
	peer := rapid.Custom(func(t *rapid.T) Peer {
		return Peer{Name: name.Draw(t, "name"), Label: label.Draw(t, "label"), PublicKey: publicKey.Draw(t, "key"), Wires: rapid.SliceOfN(wire, 0, 3).Draw(t, "wires"),
			Repair: Repair{Cap: rapid.Float64().Draw(t, "cap"), Budget: duration.Draw(t, "budget")}}
	})
	route := rapid.Custom(func(t *rapid.T) Route {
		return Route{To: name.Draw(t, "to"), Policy: RoutePolicy(name.Draw(t, "policy")),
			Candidates: rapid.SliceOfN(rapid.SliceOfN(name, 0, 3), 0, 3).Draw(t, "candidates")}
	})
	listener := rapid.Custom(func(t *rapid.T) Listener {
		return Listener{Name: name.Draw(t, "name"), Accelerator: rapid.String().Draw(t, "accelerator"), Addresses: rapid.SliceOfN(twoForms, 0, 2).Draw(t, "addresses"),
			Ports: rapid.SliceOfN(port, 0, 3).Draw(t, "ports"), EndpointGroup: name.Draw(t, "group"), IdleTimeout: duration.Draw(t, "idle"),
			Repair: RepairMode(name.Draw(t, "repair")), Order: Order(name.Draw(t, "order")), ReplayWindow: number.Draw(t, "window"), Allow: rapid.SliceOfN(allow, 0, 2).Draw(t, "allow")}
	})
	endpoint := rapid.Custom(func(t *rapid.T) Endpoint {
		return Endpoint{Address: address.Draw(t, "address"), Weight: rapid.Ptr(number, true).Draw(t, "weight")}
	})
	initiate := rapid.Custom(func(t *rapid.T) Initiate {
		return Initiate{Endpoint: address.Draw(t, "endpoint"), Client: address.Draw(t, "client"), Ingress: name.Draw(t, "ingress"),
			Accelerated: address.Draw(t, "accelerated"), Listener: name.Draw(t, "listener")}
	})
	group := rapid.Custom(func(t *rapid.T) EndpointGroup {
		return EndpointGroup{Name: name.Draw(t, "name"), PoP: name.Draw(t, "pop"), EgressIP: twoForms.Draw(t, "egress"),
			Endpoints: rapid.SliceOfN(endpoint, 0, 3).Draw(t, "endpoints"), Initiate: rapid.SliceOfN(initiate, 0, 2).Draw(t, "initiate")}
	})
	return rapid.Custom(func(t *rapid.T) Snapshot {
		return Snapshot{
			Format: rapid.IntRange(-1, 2).Draw(t, "format"),
			PoP: PoP{Name: name.Draw(t, "pop"), Region: rapid.String().Draw(t, "region"), Label: label.Draw(t, "label"), PublicKey: publicKey.Draw(t, "key"),
				Overlay: rapid.SliceOfN(overlay, 0, 3).Draw(t, "overlay")},
			Peers:          rapid.SliceOfN(peer, 0, 4).Draw(t, "peers"),
			Routes:         rapid.SliceOfN(route, 0, 3).Draw(t, "routes"),
			Listeners:      rapid.SliceOfN(listener, 0, 3).Draw(t, "listeners"),
			EndpointGroups: rapid.SliceOfN(group, 0, 3).Draw(t, "groups"),
			Limits:         Limits{Sessions: number.Draw(t, "sessions"), Unconfirmed: number.Draw(t, "unconfirmed")},
		}
	})
}

func TestConsistentNeverPanicsAndChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots().Draw(t, "snapshot")
		before := clone(s)
		found := s.Consistent()
		if !reflect.DeepEqual(s, before) && s.Peers != nil && noNaN(s) {
			t.Fatalf("changed\n%+v\nto\n%+v", before, s)
		}
		for _, p := range found {
			if p.Path == "" || p.Allowed == "" {
				t.Fatalf("a problem must say where and what is allowed: %+v", p)
			}
		}
		if again := WithDefaults(s).Consistent(); !reflect.DeepEqual(found, again) {
			t.Fatalf("judged differently with defaults filled in:\n%v\nand\n%v", found, again)
		}
	})
}

func TestWithDefaultsIsPureAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots().Draw(t, "snapshot")
		if !noNaN(s) {
			t.Skip("NaN differs from itself")
		}
		before := clone(s)
		once := WithDefaults(s)
		if !reflect.DeepEqual(s, before) {
			t.Fatal("the argument was changed")
		}
		if twice := WithDefaults(once); !reflect.DeepEqual(once, twice) {
			t.Fatalf("once\n%+v\ntwice\n%+v", once, twice)
		}
		scribble(reflect.ValueOf(&once).Elem())
		if !reflect.DeepEqual(s, before) {
			t.Fatal("the copy shares memory with the argument")
		}
	})
}

func noNaN(s Snapshot) bool {
	for _, p := range s.Peers {
		if p.Repair.Cap != p.Repair.Cap {
			return false
		}
	}
	return true
}

func clone(s Snapshot) Snapshot {
	return deepCopy(reflect.ValueOf(s)).Interface().(Snapshot)
}

// deepCopy copies slices and pointers at every depth; what else there is in a
// snapshot is a plain value.
func deepCopy(v reflect.Value) reflect.Value {
	fresh := reflect.New(v.Type()).Elem()
	fresh.Set(v)
	switch v.Kind() {
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[Snapshot]().PkgPath() {
			break // netip's own
		}
		for i := range v.NumField() {
			fresh.Field(i).Set(deepCopy(v.Field(i)))
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		fresh.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			fresh.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fresh.Set(reflect.New(v.Type().Elem()))
			fresh.Elem().Set(deepCopy(v.Elem()))
		}
	}
	return fresh
}

// scribble overwrites everything that v reaches.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[Snapshot]().PkgPath() {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			scribble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.String:
		v.SetString("scribble")
	case reflect.Int, reflect.Int64:
		v.SetInt(-77)
	case reflect.Uint16, reflect.Uint64:
		v.SetUint(77)
	case reflect.Float64:
		v.SetFloat(77)
	}
}
