// Arrays that Python hands to a kernel. Include after Python.h.

#pragma once

#include <cstdint>

// A contiguous buffer for as long as it lives.
class Buffer {
public:
    Buffer() { view_.obj = nullptr; }
    Buffer(Buffer&& other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (view_.obj != nullptr) PyBuffer_Release(&view_);
    }
    bool acquire(PyObject* object, bool writable = false) {
        if (PyObject_GetBuffer(object, &view_, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) == 0) return true;
        view_.obj = nullptr;
        return false;
    }
    template <typename Item>
    Item* items() const {
        return static_cast<Item*>(view_.buf);
    }
    template <typename Item>
    std::int64_t count() const {
        return view_.len / static_cast<std::int64_t>(sizeof(Item));
    }

private:
    Py_buffer view_;
};

inline bool fail(const char* message) {
    PyErr_SetString(PyExc_ValueError, message);
    return false;
}
