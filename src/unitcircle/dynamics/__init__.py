"""Live networks: measurements of states and gradients over time and depth (needs torch)."""

from importlib.util import find_spec as _find_spec

from unitcircle.errors import MissingExtraError

if _find_spec("torch") is None:
    raise MissingExtraError("measuring live networks", "torch", "torch")

from unitcircle._growth import Step
from unitcircle._series import participation_ratio
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._calibration import calibrate_
from unitcircle.dynamics._calibration_figure import plot_calibration
from unitcircle.dynamics._calibration_result import Calibration, CalibrationStatus, LayerCalibration
from unitcircle.dynamics._depth_flow import DepthFlow, depth_flow
from unitcircle.dynamics._driven_layers import DrivenLayer, driven_layers
from unitcircle.dynamics._eigenvalues_along import StepEigenvalues, eigenvalues_along
from unitcircle.dynamics._fixed_points import FixedPoints, fixed_points
from unitcircle.dynamics._flow_by_lag import GradientFlow
from unitcircle.dynamics._gradient_flow import gradient_flow
from unitcircle.dynamics._hand_written import HandWritten, HandWrittenLayer, hand_written
from unitcircle.dynamics._hidden_states import HiddenStates, hidden_states, input_share
from unitcircle.dynamics._jacobian_spectrum import JacobianSpectrum, jacobian_spectrum, mean_log_singular_value
from unitcircle.dynamics._lyapunov import LyapunovExponents, lyapunov_exponents
from unitcircle.dynamics._measured_layers import MeasuredLayers, measured_layers
from unitcircle.dynamics._prepared import Prepared, prepared, unwrapped
from unitcircle.dynamics._recorded_run import NoLayerError
from unitcircle.dynamics._recurrence import Linearization, Recurrence
from unitcircle.dynamics._token_memory import TokenMemory, token_memory

__all__ = [
    "Calibration",
    "CalibrationStatus",
    "DepthFlow",
    "DrivenLayer",
    "FixedPoints",
    "GradientFlow",
    "HandWritten",
    "HandWrittenLayer",
    "HiddenStates",
    "JacobianSpectrum",
    "LayerCalibration",
    "Linearization",
    "LyapunovExponents",
    "MeasuredLayers",
    "NoLayerError",
    "Prepared",
    "Recurrence",
    "Step",
    "StepEigenvalues",
    "TokenMemory",
    "as_recurrence",
    "calibrate_",
    "depth_flow",
    "driven_layers",
    "eigenvalues_along",
    "fixed_points",
    "gradient_flow",
    "hand_written",
    "hidden_states",
    "input_share",
    "jacobian_spectrum",
    "lyapunov_exponents",
    "mean_log_singular_value",
    "measured_layers",
    "participation_ratio",
    "plot_calibration",
    "prepared",
    "token_memory",
    "unwrapped",
]
