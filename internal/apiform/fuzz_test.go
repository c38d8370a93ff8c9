package apiform

import (
	"testing"

	"google.golang.org/protobuf/proto"

	v1 "causeway/api/gen/causeway/v1"
)

// Whatever a client sends, decoding it ends with a resource or a refusal.
func FuzzDecodeObject(f *testing.F) {
	for _, o := range []*v1.Object{
		{Object: &v1.Object_Region{Region: &v1.Region{Name: "kr-seoul"}}},
		{Object: &v1.Object_EndpointGroup{EndpointGroup: &v1.EndpointGroup{Endpoints: []*v1.Endpoint{{Address: "::ffff:127.0.0.1"}}}}},
		{},
	} {
		sent, _ := proto.Marshal(o)
		f.Add(sent)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		var m v1.Object
		if proto.Unmarshal(sent, &m) != nil {
			return
		}
		if o, err := DecodeObject(&m); err == nil {
			_ = EncodeObject(o)
		}
	})
}
