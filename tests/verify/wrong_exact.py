"""Wrong implementations of analyses by sums."""

from dataclasses import replace

import numpy as np

from sim.engine.exact.cox import CoxWebDISCO, partial
from sim.engine.exact.iptw import CoxIPTW
from sim.engine.exact.lasso import LassoPath
from sim.engine.exact.newton import Newton
from sim.engine.exact.one_shot import ODAC, ODACH, ODAL, Meta
from sim.exact import one_shot
from sim.exact.cox import StratifiedCox, WebDISCO
from sim.exact.iptw import WeightedCox
from sim.exact.lasso import Lasso
from sim.exact.newton import Logistic
from sim.exact.one_shot import MetaAnalysis, Surrogate
from sim.exact.sums import Intercepted, pack
from sim.tasks.cox import Cox
from tests.verify.wrong import wrong


@wrong("newton")
class LastSite(Newton):
    """The last site's sums stand for all."""

    def protocol(self, plan, names):
        class Last(Intercepted):
            def total(self, messages):
                return messages[-1]

        right = super().protocol(plan, names)
        return Last(right.inner, right.outcome)


@wrong("newton")
class LeashedIntercept(Newton):
    """The ridge pulls at the intercept as well."""

    def protocol(self, plan, names):
        class Leashed(Logistic):
            def update(self, total, state):
                pull = self.ridge * state["beta"][-1]
                gradient, hessian = total["gradient"].copy(), one_shot.unpack(total["hessian"])
                gradient[-1] -= pull
                hessian[-1, -1] += self.ridge
                return super().update(total | {"gradient": gradient, "hessian": pack(hessian)}, state)

        right = super().protocol(plan, names)
        return Intercepted(Leashed(right.inner.names, False, self.ridge), right.outcome)


@wrong("cox_webdisco")
class OwnRiskSets(CoxWebDISCO):
    """The sites' own partial likelihoods are added up where the pooled one is meant."""

    def protocol(self, plan, names):
        right = super().protocol(plan, names)
        return StratifiedCox(right.names, right.efron)


@wrong("cox_webdisco")
class OneRuleForTies(CoxWebDISCO):
    """Ties as Breslow has them, whatever was asked for."""

    def protocol(self, plan, names):
        return replace(super().protocol(plan, names), efron=False)


class Weighted(CoxIPTW):
    """The protocol of a class of its own."""

    kind = WeightedCox

    def protocol(self, plan, names):
        return self.kind(**vars(super().protocol(plan, names)))


@wrong("cox_iptw")
class WeightedByTheChance(Weighted):
    """Weights are the chances, not their inverses."""

    class kind(WeightedCox):
        def weight(self, treated, chance):
            return np.where(treated, chance, 1 - chance)


@wrong("cox_iptw")
class UnweightedResiduals(Weighted):
    """Score residuals are squared without their weights."""

    class kind(WeightedCox):
        def statistics(self, rows, seen):
            found = super().statistics(rows, seen)
            return {"meat": found["meat"] / 4} if "meat" in found else found


@wrong("cox_iptw")
class TrustsTheModel(Weighted):
    """The variance that takes weights for patients is given as the robust one."""

    class kind(WeightedCox):
        def update(self, total, state):
            new, done = super().update(total, state)
            return (new | {"robust": new["covariance"]} if done else new), done


@wrong("meta")
class ByPatients(Meta):
    """Estimates are averaged without their variances, as models are."""

    def protocol(self, plan, names):
        class Mean(MetaAnalysis):
            def update(self, total, state):
                new, done = super().update(total, state)
                return new | {"beta": total["beta"].mean(0)}, done

        return Mean(**vars(super().protocol(plan, names)))


@wrong("meta")
class WithoutCovariances(Meta):
    """A fixed effect by variances alone."""

    def protocol(self, plan, names):
        class Variances(MetaAnalysis):
            def statistics(self, rows, seen):
                sent = super().statistics(rows, seen)
                return sent | {"covariance": pack(np.diag(np.diag(one_shot.unpack(sent["covariance"]))))}

        return Variances(**vars(super().protocol(plan, names)))


class Others(Surrogate):
    """Sums of all patients are divided by the number of those who are not the lead site's."""

    def update(self, total, state):
        new, done = super().update(total, state)
        return (new | {"all": new["all"] - total["rows"][self.lead]} if "rows" in total else new), done


class OwnMean(Surrogate):
    """The lead site's own estimate is the centre."""

    def update(self, total, state):
        new, done = super().update(total, state)
        return (new | {"centre": total["beta"][self.lead]} if "rows" in total else new), done


@wrong("odal")
class TooFewPatients(ODAL):
    """Means over all patients leave out those of the lead site."""

    def protocol(self, plan, names):
        return Others(**vars(super().protocol(plan, names)))


@wrong("odal")
class CentreOfTheLead(ODAL):
    """The surrogate is built about the lead site's estimate alone."""

    def protocol(self, plan, names):
        return OwnMean(**vars(super().protocol(plan, names)))


@wrong("odac")
class DerivativesWithinSites(ODAC):
    """Gradients of partial likelihoods within sites stand for that of the pooled one."""

    def protocol(self, plan, names):
        return replace(super().protocol(plan, names), across=None)


@wrong("odac")
class BreslowSums(ODAC):
    """Sums over all sites with another rule for ties than the lead site's: R's pda."""

    def protocol(self, plan, names):
        return replace(super().protocol(plan, names), across=WebDISCO(names, efron=False))


@wrong("odach")
class TooFewPatientsOfTimes(ODACH):
    """Means over all patients leave out those of the lead site."""

    def protocol(self, plan, names):
        return Others(**vars(super().protocol(plan, names)))


class PathOf(LassoPath):
    """The protocol of a class of its own."""

    kind = Lasso

    def protocol(self, plan, names):
        return self.kind(**vars(super().protocol(plan, names)))


@wrong("lasso")
class LastOfThePath(PathOf):
    """The least penalty is taken, whatever the criterion says."""

    class kind(Lasso):
        def onwards(self, state, loglik, slope, units):
            new, done = super().onwards(state, loglik, slope, units)
            return (new | {"beta": state["base"]} if done else new), done


@wrong("lasso")
class PenaltyOfTheSum(PathOf):
    """The penalty is of the sum over patients where that of the mean is meant."""

    class kind(Lasso):
        def statistics(self, rows, seen):
            sent = super().statistics(rows, seen)
            return sent | {"rows": np.asarray(1.0)}


@wrong("lasso")
class PenaltyOfTheEvents(PathOf):
    """A partial likelihood is a mean over events where that over patients is meant."""

    class kind(Lasso):
        def statistics(self, rows, seen):
            sent = super().statistics(rows, seen)
            return sent | {"rows": sent["units"]}


@wrong("lasso")
class RiskSetsWithinSites(LassoPath):
    """Gradients of partial likelihoods within sites stand for that of the pooled one."""

    def protocol(self, plan, names):
        if isinstance(plan.task, Cox):
            return self.path(partial(plan.task, names, True), names, len(names))
        return super().protocol(plan, names)
