"""TensorFlow Lite models that tests make themselves."""

import flatbuffers
import numpy as np

TYPES = {"float32": 0, "float16": 1, "int32": 2, "int8": 9}


class Model:
    """Tensors and operators, written as one flatbuffer."""

    def __init__(self):
        self.builder = flatbuffers.Builder(0)
        self.buffers = [self.table({})]
        self.tensors, self.operators, self.codes = [], [], []

    def table(self, fields):
        """Write a table: field -> (kind, value)."""
        self.builder.StartObject(max(fields, default=0) + 1)
        for field, (kind, value) in fields.items():
            if kind == "offset":
                self.builder.PrependUOffsetTRelativeSlot(field, value, 0)
            else:
                getattr(self.builder, f"Prepend{kind}Slot")(field, value, 0)
        return self.builder.EndObject()

    def offsets(self, places):
        self.builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.builder.PrependUOffsetTRelative(place)
        return self.builder.EndVector()

    def vector(self, values, dtype):
        return self.builder.CreateNumpyVector(np.array(values, dtype))

    def tensor(self, name, array=None, shape=(1,), scale=None, zero=0, axis=0):
        dtype = "float32" if array is None else array.dtype.name
        buffer = 0
        if array is not None:
            shape, buffer = array.shape, len(self.buffers)
            data = self.vector(np.frombuffer(array.tobytes(), np.uint8), "uint8")
            self.buffers.append(self.table({0: ("offset", data)}))
        fields = {0: ("offset", self.vector(shape, "int32")), 3: ("offset", self.builder.CreateString(name))}
        if scale is not None:
            zeros = np.full(np.size(scale), zero)
            quantization = {2: ("offset", self.vector(np.atleast_1d(scale), "float32"))}
            quantization |= {3: ("offset", self.vector(zeros, "int64")), 6: ("Int32", axis)}
            fields[4] = ("offset", self.table(quantization))
        self.tensors.append(self.table(fields | {1: ("Int8", TYPES[dtype]), 2: ("Uint32", buffer)}))
        return len(self.tensors) - 1

    def operator(self, code, inputs, outputs=(), options=None):
        fields = {1: ("offset", self.vector(inputs, "int32")), 2: ("offset", self.vector(outputs, "int32"))}
        if options is not None:
            fields[4] = ("offset", self.table({field: ("Int8", value) for field, value in options.items()}))
        self.codes.append(code)
        self.operators.append(self.table(fields | {0: ("Uint32", len(self.codes) - 1)}))

    def content(self):
        codes = [self.table({0: ("Int8", min(code, 127)), 3: ("Int32", code)}) for code in self.codes]
        tensors, operators = self.offsets(self.tensors), self.offsets(self.operators)
        graph = self.table({0: ("offset", tensors), 3: ("offset", operators)})
        fields = {1: self.offsets(codes), 2: self.offsets([graph]), 4: self.offsets(self.buffers)}
        model = self.table({field: ("offset", place) for field, place in fields.items()} | {0: ("Uint32", 3)})
        self.builder.Finish(model, file_identifier=b"TFL3")
        return bytes(self.builder.Output())
