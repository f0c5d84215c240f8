// What torch asks of a GPU where it has none: that there is one, and one stream. Without it autograd refuses tensors of
// the device cuda; what they hold is computed in Python (pretended.py).
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace at {

const Device kFirst(kCUDA, 0);

struct PretendedGuard : c10::impl::NoOpDeviceGuardImpl<kCUDA> {
  Device getDevice() const override { return kFirst; }
  Device exchangeDevice(Device) const override { return kFirst; }
  Stream getStream(Device) const noexcept override { return Stream(Stream::DEFAULT, kFirst); }
};

struct PretendedHooks : CUDAHooksInterface {
  explicit PretendedHooks(CUDAHooksArgs) {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
};

c10::impl::DeviceGuardImplRegistrar guard(kCUDA, new PretendedGuard());
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, PretendedHooks)

}  // namespace at
