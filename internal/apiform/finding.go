package apiform

import (
	"reflect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/vpn"
)

// EncodeFindings returns conclusions about VPNs as messages.
func EncodeFindings(list []vpn.Finding) []*v1.VPNFinding {
	var messages []*v1.VPNFinding
	for i := range list {
		m := &v1.VPNFinding{}
		toMessage(reflect.ValueOf(&list[i]).Elem(), m.ProtoReflect())
		messages = append(messages, m)
	}
	return messages
}

// DecodeFindings reads them back.
func DecodeFindings(messages []*v1.VPNFinding) []vpn.Finding {
	list := make([]vpn.Finding, len(messages))
	for i, m := range messages {
		_ = fromMessage(m.ProtoReflect(), reflect.ValueOf(&list[i]).Elem(), "") // texts and a time, which can always be read
	}
	return list
}
